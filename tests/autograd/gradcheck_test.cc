#include "core/autograd/gradcheck.h"

#include "core/autograd/function.h"
#include "core/base/random.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "tests/autograd/support.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

TEST(GradcheckTest, AcceptsRightGradients) {
  const auto f = [](const Tensors& in) { return Tensors{mul(in[0], exp(in[1])), sum(in[0])}; };
  const Tensors inputs{leaf({1, 2, 3, 4}, {2, 2}), leaf({0.5, -0.5})};
  EXPECT_EQ(gradcheck(f, inputs).message, "");
  EXPECT_EQ(gradgradcheck(f, inputs).message, "");
}

TEST(GradcheckTest, AcceptsInputsOfManyKinds) {
  const Tensor strided = set_requires_grad(detach(t(Tensor::of<double>({1, 2, 3, 4, 5, 6}, {2, 3}))));
  const Tensor constant = Tensor::of<float>({1, 2});
  const auto f = [](const Tensors& in) {
    return Tensors{mul(in[0], in[1]), gt(in[0], 2), in[2].defined() ? in[2] : Tensor::zeros({1})};
  };
  EXPECT_EQ(gradcheck(f, {strided, constant, Tensor()}).message, "");
  EXPECT_EQ(values(strided), (std::vector<double>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(gradcheck([](const Tensors& in) { return Tensors{mul(in[0], 2)}; },
                      {set_requires_grad(Tensor::zeros({0, 3}, DType::kFloat64))})
                .message,
            "");
}

// A gradient that is wrong in a way the test chooses.
struct Faulty : Function<Faulty> {
  static Tensor forward(FunctionContext& ctx, const Tensor& x, const Tensor& other, const std::string& how) {
    ctx.save_for_backward({x});
    ctx.saved_data["how"] = how;
    ctx.set_materialize_grads(false);
    return add(mul(x, x), mul(other, 0.0));
  }
  static Tensors backward(FunctionContext& ctx, const Tensors& grads) {
    const std::string& how = ctx.saved_data["how"].string();
    const Tensor x = ctx.saved_tensors()[0];
    if (!grads[0].defined()) {
      return {how == "undefined" ? Tensor::full(x.sizes(), 1.0, DType::kFloat64) : Tensor(), Tensor(), Tensor()};
    }
    Tensor g = mul(mul(grads[0], 2), x);
    if (how == "value") g = mul(g, Tensor::of<double>({1, 1.01, 1}));
    if (how == "nan") g = mul(g, std::numeric_limits<double>::quiet_NaN());
    if (how == "random") g = mul(g, 1 + 1e-9 * current_generator().uniform_double());
    if (how == "strides" && grads[0].strides() != Shape{1}) g = mul(g, 2);
    if (how == "second") g = mul(mul(grads[0], 2), detach(x));
    if (how == "second strided" && grads[0].strides() != Shape{1}) g = mul(mul(grads[0], 2), detach(x));
    return {g, Tensor(), Tensor()};
  }
};

std::string finding(const std::string& how, bool second = false) {
  const auto f = [how](const Tensors& in) { return Tensors{sum(in[1]), Faulty::call(in[1], in[0], how)}; };
  const Tensors inputs{Tensor::of<double>({7, 7, 7}), leaf({1, 2, 3})};
  return second ? gradgradcheck(f, inputs).message : gradcheck(f, inputs).message;
}

TEST(GradcheckTest, FindsAWrongValueAndSaysWhere) {
  EXPECT_EQ(finding("nothing wrong"), "");
  const std::string message = finding("value");
  EXPECT_THAT(message, HasSubstr("Jacobian mismatch for output 1 with respect to input 1: d output[1] / d input[1]: "));
  EXPECT_THAT(message, HasSubstr("analytical 4.04"));
  EXPECT_THAT(message, testing::ContainsRegex("numerical (4\\.0000|3\\.9999|4,)"));
}

TEST(GradcheckTest, FindsNaN) { EXPECT_THAT(finding("nan"), HasSubstr("analytical nan")); }

TEST(GradcheckTest, FindsABackwardThatChangesFromPassToPass) {
  EXPECT_THAT(finding("random"), HasSubstr("Backward is not reentrant"));
}

TEST(GradcheckTest, FindsABackwardThatMistakesStrides) {
  EXPECT_THAT(finding("strides"), HasSubstr("a strided gradient of output 1 gives another gradient of input 1"));
}

TEST(GradcheckTest, FindsGradientsOutOfNothing) {
  EXPECT_THAT(finding("undefined"), HasSubstr("Expected all input grads to be undefined or zero"));
}

// Gives a gradient out of nothing when the first output's is zero and the second's undefined.
struct NeedsItsSecondGradient : Function<NeedsItsSecondGradient> {
  static Tensors forward(FunctionContext& ctx, const Tensor& x) {
    ctx.set_materialize_grads(false);
    return {mul(x, 2), mul(x, 3)};
  }
  static Tensors backward(FunctionContext&, const Tensors& grads) {
    Tensor g;
    if (grads[0].defined()) g = mul(grads[0], 2);
    if (grads[1].defined()) return {g.defined() ? add(g, mul(grads[1], 3)) : mul(grads[1], 3)};
    const bool nothing = g.defined() && values(g) == std::vector<double>{0, 0};
    return {nothing ? add(g, 1) : g};
  }
};

TEST(GradcheckTest, FindsGradientsOutOfNothingWhenOneOutputsIsUndefined) {
  const auto f = [](const Tensors& in) { return NeedsItsSecondGradient::call(in[0]); };
  EXPECT_THAT(gradcheck(f, {leaf({1, 2})}).message, HasSubstr("with that of output 1 undefined input 0 got"));
}

TEST(GradcheckTest, TakesALargeDerivativesErrorForWhatItIs) {
  const auto cube = [](const Tensors& in) { return Tensors{mul(mul(in[0], in[0]), in[0])}; };
  const Tensors inputs{leaf({1234.567})};
  EXPECT_EQ(gradcheck(cube, inputs, {.atol = 0}).message, "");
  EXPECT_THAT(gradcheck(cube, inputs, {.atol = 0, .rtol = 0}).message, HasSubstr("Jacobian mismatch"));
}

TEST(GradcheckTest, TriesTheSecondOrderWithStridedGradients) {
  EXPECT_THAT(finding("second strided", true), HasSubstr("second order"));
}

TEST(GradcheckTest, FindsAWrongSecondOrder) {
  EXPECT_EQ(finding("second"), "");
  EXPECT_THAT(finding("second", true),
              HasSubstr("second order (inputs from 2 on are output gradients): Jacobian mismatch"));
}

TEST(GradcheckTest, FindsAnOutputThatForgetsItsHistory) {
  const auto f = [](const Tensors& in) { return Tensors{detach(mul(in[0], 2))}; };
  EXPECT_THAT(gradcheck(f, {leaf({1})}).message, HasSubstr("the output does not require a gradient"));
}

TEST(GradcheckTest, RefusesWhatItCannotCheck) {
  const auto f = [](const Tensors& in) { return Tensors{mul(in[0], 2)}; };
  EXPECT_THAT(error_of([&] { gradcheck(f, {Tensor::of<double>({1})}); }), HasSubstr("at least one input tensor"));
  EXPECT_THAT(error_of([&] { gradcheck(f, {set_requires_grad(Tensor::zeros({1}))}); }),
              HasSubstr("must be a leaf of float64"));
  EXPECT_THAT(error_of([&] { gradcheck(f, {mul(leaf({1}), 1)}); }), HasSubstr("must be a leaf of float64"));
  const Tensor repeated = set_requires_grad(detach(expand(Tensor::zeros({1}, DType::kFloat64), {3})));
  EXPECT_THAT(error_of([&] { gradcheck(f, {repeated}); }), HasSubstr("elements that share memory"));
}

TEST(GradcheckTest, PutsTheInputsBackWhenTheFunctionFails) {
  const Tensor x = leaf({1});
  int calls = 0;
  const auto f = [&](const Tensors& in) {
    if (++calls == 2) fail("no");
    return Tensors{mul(in[0], 2)};
  };
  EXPECT_EQ(error_of([&] { gradcheck(f, {x}); }), "no");
  EXPECT_EQ(x.item<double>(), 1);
}

}  // namespace
}  // namespace tapewire
