#include "server/model/captures.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "core/ops/shape_ops.h"
#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::SizeIs;

std::string call(const std::string& target, const std::string& argument, const std::string& result,
                 const std::string& more = "") {
  return str_cat("calls { ", target, " args { ref: '", argument, "' } ", more, " results: '", result, "' } ");
}
std::string op(const std::string& name, const std::string& argument, const std::string& result) {
  return call(str_cat("op: '", name, "'"), argument, result);
}
std::string module(const std::string& path, const std::string& argument, const std::string& result) {
  return call(str_cat("module: '", path, "'"), argument, result);
}

// A Graph of x (of [2, 3]) with "fc" (3 to 4), "id", "flat" (which gives a view of two dimensions), an in-place ReLU
// and a Sequential of another Linear.
std::string net(const std::string& calls) {
  return str_cat("modules { path: '' type: 'Graph' forward { inputs { name: 'x' } ", calls, R"( outputs: 'y' } }
      modules { path: 'fc' type: 'Linear' attributes { key: 'in_features' value { int_value: 3 } }
                attributes { key: 'out_features' value { int_value: 4 } } }
      modules { path: 'id' type: 'Identity' }
      modules { path: 'flat' type: 'Flatten' attributes { key: 'start_dim' value { int_value: 0 } } }
      modules { path: 'relu' type: 'ReLU' attributes { key: 'inplace' value { bool_value: true } } }
      modules { path: 'seq' type: 'Sequential' }
      modules { path: 'seq.0' type: 'Linear' attributes { key: 'in_features' value { int_value: 3 } }
                attributes { key: 'out_features' value { int_value: 4 } } })");
}

Tensor numbers(const Shape& sizes, double step) {
  Tensor out = Tensor::empty(sizes, DType::kFloat64);
  double* data = out.mutable_data<double>();
  for (int64_t i = 0; i < out.numel(); ++i) data[i] = std::fmod(static_cast<double>(i + 1) * step, 2.0) - 1;
  return out;
}

std::shared_ptr<Module> make(const std::string& calls) {
  Generator generator(3);
  const GeneratorScope random(generator);
  std::shared_ptr<Module> root = build_modules(spec_of(net(calls)), {});
  root->to(DType::kFloat64);
  return root;
}

double objective(Module& root) {
  const Tensor y = root(numbers({2, 3}, 0.77));
  return sum(mul(y, numbers(y.sizes(), 0.59))).item<double>();
}

// The gradient of the objective by what the module puts out, by central differences.
std::vector<double> slopes(Module& root, const std::string& path, const std::vector<double>& value, Ints sizes) {
  const NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  std::vector<double> out;
  for (size_t i = 0; i < value.size(); ++i) {
    double at[2];
    for (const int side : {0, 1}) {
      std::vector<double> moved = value;
      moved[i] += side == 0 ? kStep : -kStep;
      HookHandle hook = root.find(path)->register_forward_hook([&](Module&, const Args&, const Value&) {
        Tensor x = Tensor::empty(sizes, DType::kFloat64);
        std::ranges::copy(moved, x.mutable_data<double>());
        return std::optional<Value>(x);
      });
      at[side] = objective(root);
      hook.remove();
    }
    out.push_back((at[0] - at[1]) / (2 * kStep));
  }
  return out;
}

void expect_as_it_left(const std::string& path, const std::string& calls) {
  SCOPED_TRACE(str_cat(path, ": ", calls));
  const std::shared_ptr<Module> root = make(calls);
  std::vector<double> seen;
  HookHandle hook = root->find(path)->register_forward_hook([&](Module&, const Args&, const Value& output) {
    seen = output.tensor().to_vector<double>();
    return std::optional<Value>();
  });
  Captures captures;
  captures.watch(*root->find(path), path);
  const Tensor y = (*root)(numbers({2, 3}, 0.77));
  const Tensor loss = sum(mul(y, numbers(y.sizes(), 0.59)));
  hook.remove();
  ASSERT_THAT(captures.taken(), SizeIs(1));
  const Tensor taken = captures.taken()[0].tensor;
  EXPECT_THAT(taken.to_vector<double>(), ElementsAreArray(seen));

  const std::vector<double> expected = slopes(*root, path, seen, taken.sizes());
  const Tensor asked = grad(Tensors{loss}, Tensors{taken}, {}, {.retain_graph = true})[0];
  set_gradient(taken, {});  // which grad() adds to, too
  backward(loss, {}, {.retain_graph = true});
  const auto near = testing::Pointwise(testing::DoubleNear(1e-6), expected);
  EXPECT_THAT(asked.to_vector<double>(), near);
  ASSERT_TRUE(gradient(taken).defined());
  EXPECT_THAT(gradient(taken).to_vector<double>(), near);

  // The tape is right all the same: parameters get what they get without a capture.
  const std::shared_ptr<Module> plain = make(calls);
  const Tensor same = (*plain)(numbers({2, 3}, 0.77));
  backward(sum(mul(same, numbers(same.sizes(), 0.59))));
  for (const NamedTensor& p : plain->named_parameters()) {
    const Tensor own = gradient(root->get_parameter(p.name));
    ASSERT_EQ(own.defined(), gradient(p.tensor).defined()) << p.name;
    if (!own.defined()) continue;
    EXPECT_THAT(own.to_vector<double>(),
                testing::Pointwise(testing::DoubleNear(1e-12), gradient(p.tensor).to_vector<double>()));
  }
}

TEST(CapturesTest, AreTheOutputAsItLeftTheModule) {
  const std::string fc = module("fc", "x", "h");
  expect_as_it_left("fc", fc + op("relu", "h", "y"));
  expect_as_it_left("fc", fc + module("relu", "h", "y"));
  expect_as_it_left("fc", fc + op("sigmoid_", "h", "s") + op("tanh", "s", "y"));
  // Used before the change, too.
  expect_as_it_left(
      "fc", fc + op("exp", "h", "e") + op("relu_", "h", "r") + call("op: 'mul'", "e", "y", "args { ref: 'r' }"));
  // The module passes on its argument.
  expect_as_it_left("id", fc + module("id", "h", "i") + module("relu", "i", "y"));
  expect_as_it_left("fc", fc + module("id", "h", "i") + module("relu", "i", "y"));
  expect_as_it_left("seq", module("seq", "x", "h") + module("relu", "h", "y"));
  expect_as_it_left("seq.0", module("seq", "x", "h") + module("relu", "h", "y"));
}

TEST(CapturesTest, OfViewsAreTheOutputAsItLeftTheModule) {
  const std::string flat = module("fc", "x", "h") + module("flat", "h", "v");
  expect_as_it_left("flat", flat + op("exp", "v", "y"));
  expect_as_it_left("flat", flat + op("relu_", "v", "y"));
  expect_as_it_left("flat", flat + op("tanh_", "v", "t") + op("sigmoid", "t", "y"));
  expect_as_it_left(
      "flat", flat + op("exp", "v", "e") + op("relu_", "v", "r") + call("op: 'mul'", "e", "y", "args { ref: 'r' }"));
  expect_as_it_left("fc", flat + op("relu_", "v", "y"));
  // A part of the output is changed, and then the whole is used.
  const std::string part = call("op: 'narrow'", "h", "n",
                                "args { literal { int_value: 1 } } args { literal { int_value: 1 } } args { literal { "
                                "int_value: 2 } }");
  expect_as_it_left("fc", module("fc", "x", "h") + part + op("tanh_", "n", "t") + op("sigmoid", "h", "y"));
  // A view that no op may change in place: one of several, and one of overlapping elements.
  const std::string wide = call("op: 'expand'", "h", "w",
                                "args { literal { int_value: 3 } } args { literal { int_value: 2 } } args { literal { "
                                "int_value: 4 } }");
  expect_as_it_left("id", module("fc", "x", "h") + wide + module("id", "w", "i") + op("exp", "i", "y"));
}

TEST(CapturesTest, AViewsBaseGoesOnWithTheChange) {
  // v is a view of h; relu_(v) changes h, and y is of h.
  const auto root =
      make(module("fc", "x", "h") + module("flat", "h", "v") + op("relu_", "v", "r") + op("exp", "h", "y"));
  Captures captures;
  captures.watch(*root->find("flat"), "flat");
  captures.watch(*root->find("fc"), "fc");
  const Tensor y = (*root)(numbers({2, 3}, 0.77));
  backward(sum(y));
  const std::vector<double> result = y.to_vector<double>();
  for (const NamedTensor& taken : captures.taken()) {
    SCOPED_TRACE(taken.name);
    const std::vector<double> value = taken.tensor.to_vector<double>();
    ASSERT_TRUE(gradient(taken.tensor).defined());
    const std::vector<double> slope = gradient(taken.tensor).to_vector<double>();
    for (size_t i = 0; i < value.size(); ++i) {
      EXPECT_DOUBLE_EQ(slope[i], value[i] > 0 ? std::exp(value[i]) : 0);
      EXPECT_DOUBLE_EQ(result[i], std::exp(std::max(value[i], 0.0)));
    }
  }
}

TEST(CapturesTest, ModulesThatPutOutTheSameEachHaveItsGradient) {
  const auto root = make(module("seq", "x", "h") + module("id", "h", "i") + module("relu", "i", "y"));
  Captures captures;
  for (const char* path : {"seq", "seq.0", "id", "relu", ""}) captures.watch(*root->find(path), path);
  backward(sum((*root)(numbers({2, 3}, 0.77))));
  std::vector<std::string> names;
  for (const NamedTensor& taken : captures.taken()) {
    names.push_back(taken.name);
    const std::vector<double> value = taken.tensor.to_vector<double>();
    const bool before = taken.name == "seq" || taken.name == "seq.0" || taken.name == "id";
    ASSERT_TRUE(gradient(taken.tensor).defined()) << taken.name;
    const std::vector<double> slope = gradient(taken.tensor).to_vector<double>();
    for (size_t i = 0; i < value.size(); ++i) EXPECT_EQ(slope[i], before && value[i] < 0 ? 0 : 1) << taken.name;
  }
  EXPECT_THAT(names, ElementsAre("seq.0", "seq", "id", "relu", ""));
}

TEST(CapturesTest, WithoutATapeAreTheOutputAsItLeftTheModule) {
  const auto root = make(module("fc", "x", "h") + module("relu", "h", "y"));
  const NoGradGuard no_grad;
  Captures captures;
  captures.watch(*root->find("fc"), "fc");
  const Tensor y = (*root)(numbers({2, 3}, 0.77));
  EXPECT_THAT(captures.taken()[0].tensor.to_vector<double>(), testing::Contains(testing::Lt(0)));
  EXPECT_THAT(y.to_vector<double>(), testing::Each(testing::Ge(0)));
  EXPECT_FALSE(captures.taken()[0].tensor.requires_grad());
}

class CapturedCallsTest : public ModelTest {};

TEST_F(CapturedCallsTest, ForwardBackwardAndGradAgreeInFrontOfAnInPlaceOp) {
  const auto model = create(net(module("fc", "x", "h") + module("relu", "h", "y")));
  in_turn(model, [](ModelState& m) {
    const Tensor x = ramp({2, 3});
    const ForwardResult out = m.forward({.inputs = {{"x", x}}, .keep_tape = true, .capture = {"fc"}});
    const std::vector<float> value = out.captured[0].tensor.to_vector<float>();
    EXPECT_THAT(value, testing::Contains(testing::Lt(0)));
    std::vector<float> expected;
    for (const float v : value) expected.push_back(v > 0 ? 3 : 0);
    const std::vector<NamedTensor> threes{{"", Tensor::full({2, 4}, 3.0)}};

    const GradResult asked = m.grad({.tape = out.tape, .output_grads = threes, .wrt = {"fc"}, .retain_tape = true});
    EXPECT_THAT(asked.grads[0].tensor.to_vector<float>(), ElementsAreArray(expected));
    const BackwardResult kept =
        m.backward({.tape = out.tape, .output_grads = threes, .retain_tape = true, .capture_grads = {"fc"}});
    EXPECT_THAT(kept.captured_grads[0].tensor.to_vector<float>(), ElementsAreArray(expected));

    // From the captured tensor on, the ReLU has no part.
    m.zero_grad();
    m.backward({.tape = out.tape, .output_grads = {{"fc", Tensor::full({2, 4}, 1.0)}}});
    EXPECT_THAT(gradient(m.require_parameter("fc.bias", "")).to_vector<float>(), ElementsAre(2, 2, 2, 2));
    return 0;
  }).value();
}

TEST_F(CapturedCallsTest, ACaptureIsNotCountedBesideTheTensorItSharesBytesWith) {
  const auto model = create(net(module("fc", "x", "h") + op("exp", "h", "e") + op("sigmoid", "e", "y")));
  in_turn(model, [](ModelState& m) {
    const auto bytes = [&](std::vector<std::string> capture) {
      return m.forward({.inputs = {{"x", ramp({2, 3})}}, .keep_tape = true, .capture = std::move(capture)}).tape->bytes;
    };
    EXPECT_EQ(bytes({""}), bytes({}));
    return 0;
  }).value();
}

}  // namespace
}  // namespace tapewire
