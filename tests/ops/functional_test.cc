// Derivatives of functions, as torch.autograd.functional gives them.

#include "core/ops/functional.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "tests/ops/samples.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }
Tensor vector(std::initializer_list<double> numbers) { return Tensor::of<double>(numbers); }

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

// x^2 y and x + 3 y.
Tensors two_of_two(const Tensors& in) { return {mul(square(in[0]), in[1]), add(in[0], mul(in[1], 3))}; }
// The sum of x^3 y.
Tensors cubic(const Tensors& in) { return {sum(mul(pow(in[0], 3), in[1]))}; }

TEST(FunctionalTest, VjpWeighsOutputs) {
  const Directional d = vjp(two_of_two, {vector({2, 3}), vector({5, 7})}, {vector({1, 10}), vector({100, 1000})});
  EXPECT_THAT(values(d.outputs[0]), ElementsAre(20, 63));
  EXPECT_THAT(values(d.derivative[0]), ElementsAre(20 + 100, 420 + 1000));
  EXPECT_THAT(values(d.derivative[1]), ElementsAre(4 + 300, 90 + 3000));
  EXPECT_FALSE(d.derivative[0].requires_grad());
}

TEST(FunctionalTest, JvpWeighsInputs) {
  const Directional d = jvp(two_of_two, {vector({2, 3}), vector({5, 7})}, {vector({1, 10}), vector({100, 1000})});
  EXPECT_THAT(values(d.derivative[0]), ElementsAre(20 + 400, 420 + 9000));
  EXPECT_THAT(values(d.derivative[1]), ElementsAre(1 + 300, 10 + 3000));
}

TEST(FunctionalTest, HvpMultipliesTheHessian) {
  const Directional d = hvp(cubic, {vector({2, 3}), vector({5, 7})}, {vector({1, 2}), vector({10, 100})});
  EXPECT_THAT(values(d.outputs[0]), ElementsAre(40 + 189));
  EXPECT_THAT(values(d.derivative[0]), ElementsAre(60 + 120, 252 + 2700));
  EXPECT_THAT(values(d.derivative[1]), ElementsAre(12, 54));
}

TEST(FunctionalTest, JacobianHasOutputThenInputDimensions) {
  const auto j = jacobian(two_of_two, {vector({2, 3}), vector({5, 7})});
  ASSERT_EQ(j.size(), 2);
  ASSERT_EQ(j[0].size(), 2);
  EXPECT_EQ(j[0][0].sizes(), Shape({2, 2}));
  EXPECT_THAT(values(j[0][0]), ElementsAre(20, 0, 0, 42));
  EXPECT_THAT(values(j[0][1]), ElementsAre(4, 0, 0, 9));
  EXPECT_THAT(values(j[1][1]), ElementsAre(3, 0, 0, 3));
}

TEST(FunctionalTest, HessianOfAScalar) {
  const auto h = hessian(cubic, {vector({2, 3}), vector({5, 7})});
  EXPECT_THAT(values(h[0][0]), ElementsAre(60, 0, 0, 126));
  EXPECT_THAT(values(h[0][1]), ElementsAre(12, 0, 0, 27));
  EXPECT_THAT(values(h[1][0]), ElementsAre(12, 0, 0, 27));
  EXPECT_THAT(values(h[1][1]), ElementsAre(0, 0, 0, 0));
}

TEST(FunctionalTest, ResultsCanBeRecorded) {
  const Tensor x = variable({3});
  const auto h = hessian([](const Tensors& in) { return Tensors{sum(pow(in[0], 4))}; }, {x}, {.create_graph = true});
  const Tensor third = grad({sum(h[0][0])}, {x})[0];
  const std::vector<double> at = values(x);
  for (size_t i = 0; i < at.size(); ++i) EXPECT_NEAR(values(third)[i], 24 * at[i], 1e-12);
}

TEST(FunctionalTest, TheCallersGradientsStayAlone) {
  const Tensor x = variable({2});
  vjp([](const Tensors& in) { return Tensors{sum(square(in[0]))}; }, {x});
  EXPECT_FALSE(gradient(x).defined());
}

TEST(FunctionalTest, WorksInsideNoGrad) {
  const NoGradGuard no_grad;
  const Directional d = vjp([](const Tensors& in) { return Tensors{sum(square(in[0]))}; }, {vector({3})});
  EXPECT_THAT(values(d.derivative[0]), ElementsAre(6));
}

TEST(FunctionalTest, IndependenceGivesZerosOrAnErrorWhenStrict) {
  const TensorFunction first_only = [](const Tensors& in) { return Tensors{sum(square(in[0]))}; };
  const Tensors inputs{vector({1}), vector({2})};
  EXPECT_THAT(values(vjp(first_only, inputs).derivative[1]), ElementsAre(0));
  EXPECT_THAT(error_of([&] { vjp(first_only, inputs, {}, {.strict = true}); }),
              HasSubstr("independent of input 1. This is not allowed in strict mode."));
  const TensorFunction constant_output = [](const Tensors&) {
    return Tensors{Tensor::full({2}, 1.0, DType::kFloat64)};
  };
  EXPECT_THAT(values(jacobian(constant_output, {vector({1})})[0][0]), ElementsAre(0, 0));
  EXPECT_THAT(error_of([&] { jacobian(constant_output, {vector({1})}, {.strict = true}); }),
              HasSubstr("Output 0 of the user-provided function does not require gradients."));
}

TEST(FunctionalTest, WrongDirectionsAreNamed) {
  const Tensors inputs{vector({1, 2})};
  const TensorFunction twice = [](const Tensors& in) { return Tensors{mul(in[0], 2)}; };
  EXPECT_THAT(error_of([&] { vjp(twice, inputs); }),
              HasSubstr("vjp: v must have one tensor for each output: 1, got 0"));
  EXPECT_THAT(error_of([&] { jvp(twice, inputs, {vector({1})}); }),
              HasSubstr("jvp: v[0] must be float64[2] as the input, got float64[1]"));
  EXPECT_THAT(
      error_of([&] { hvp(twice, inputs, {vector({1, 2})}); }),
      HasSubstr("hvp: the function must return one tensor with one element, got 1 tensors, the one of sizes [2]"));
  EXPECT_THAT(error_of([&] { vjp([](const Tensors&) { return Tensors{Tensor()}; }, inputs); }),
              HasSubstr("vjp: output 0 of the function must be a floating tensor, got none"));
}

}  // namespace
}  // namespace tapewire
