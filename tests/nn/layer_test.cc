#include <cmath>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/layer_cases.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

Tensor weighted_sum(const Tensor& out) { return sum(mul(out, pattern(out.sizes(), 3, 1))); }

class LayerTest : public testing::TestWithParam<LayerCase> {};

TEST_P(LayerTest, PrintsAsInPyTorch) { EXPECT_EQ(make_module(GetParam())->repr(), GetParam().repr); }

TEST_P(LayerTest, HasPyTorchsStateKeys) {
  std::vector<std::string> keys;
  for (const NamedTensor& entry : make_module(GetParam())->state_dict()) keys.push_back(entry.name);
  EXPECT_EQ(keys, GetParam().state_keys);
}

TEST_P(LayerTest, MatchesPyTorchForwardAndBackward) {
  const LayerCase& c = GetParam();
  const std::shared_ptr<Module> module = make_module(c);
  const std::vector<Tensor> inputs = make_inputs(c);
  for (const Tensor& x : inputs) set_requires_grad(x);
  const std::vector<Tensor> outputs = call(*module, inputs);
  ASSERT_EQ(outputs.size(), c.outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_THAT(outputs[i].sizes(), testing::ElementsAreArray(c.outputs[i].shape));
    expect_near(outputs[i], c.outputs[i].values);
  }
  backward(weighted_sum(outputs[0]));
  std::vector<Tensor> leaves = inputs;
  for (const NamedTensor& p : module->named_parameters()) leaves.push_back(p.tensor);
  ASSERT_EQ(leaves.size(), c.grads.size());
  for (size_t i = 0; i < leaves.size(); ++i) expect_near(gradient(leaves[i]), c.grads[i]);
  const std::vector<NamedTensor> buffers = module->named_buffers();
  ASSERT_EQ(buffers.size(), c.buffers.size());
  for (size_t i = 0; i < buffers.size(); ++i) expect_near(buffers[i].tensor, c.buffers[i]);
}

// Against central differences, by every parameter and input: what PyTorch's gradcheck does.
TEST_P(LayerTest, GradientMatchesNumericalDifferences) {
  const std::shared_ptr<Module> module = make_module(GetParam());
  std::vector<NamedTensor> leaves = module->named_parameters();
  std::vector<Tensor> inputs = make_inputs(GetParam());
  for (const Tensor& x : inputs) {
    // Away from the kinks of activations and from equal elements in a pooling window.
    for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data<double>()[i] += 0.01 + 1e-3 * static_cast<double>(i);
    set_requires_grad(x);
    leaves.push_back({"input", x});
  }
  const auto value = [&] { return weighted_sum(call(*module, inputs)[0]); };
  backward(value());
  const NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  for (const NamedTensor& leaf : leaves) {
    const std::vector<double> analytic = gradient(leaf.tensor).to_vector<double>();
    double* data = leaf.tensor.mutable_data<double>();
    for (size_t i = 0; i < analytic.size(); ++i) {
      const double kept = data[i];
      data[i] = kept + kStep;
      const double up = value().item<double>();
      data[i] = kept - kStep;
      const double down = value().item<double>();
      data[i] = kept;
      const double numerical = (up - down) / (2 * kStep);
      EXPECT_NEAR(analytic[i], numerical, 1e-5 + 1e-3 * std::abs(numerical)) << leaf.name << " " << i;
    }
  }
}

TEST_P(LayerTest, GivesTheSameUnderNoGrad) {
  const std::vector<Tensor> inputs = make_inputs(GetParam());
  for (const Tensor& x : inputs) set_requires_grad(x);
  const std::vector<double> with = call(*make_module(GetParam()), inputs)[0].to_vector<double>();
  const NoGradGuard no_grad;
  const Tensor without = call(*make_module(GetParam()), inputs)[0];
  EXPECT_FALSE(without.requires_grad());
  EXPECT_EQ(without.to_vector<double>(), with);
}

INSTANTIATE_TEST_SUITE_P(Layers, LayerTest, testing::ValuesIn(layer_cases()),
                         [](const auto& test) { return test.param.name; });

TEST(SequentialTest, ChainsItsChildren) {
  const auto net = std::make_shared<Sequential>(Modules{std::make_shared<Flatten>(), std::make_shared<ReLU>()});
  EXPECT_THAT((*net)(Tensor::of<float>({-1, 2, 3, -4}, {1, 2, 2})).to_vector<float>(), ElementsAre(0, 2, 3, 0));
}

TEST(SequentialTest, WithoutChildrenIsTheIdentity) {
  const Tensor x = pattern({2});
  const auto net = std::make_shared<Sequential>();
  EXPECT_TRUE((*net)(x).is_same(x));
  EXPECT_EQ(error_of([&] { (*net)(Args{x, x}); }), "Sequential expects one argument, got 2");
}

TEST(ContainerTest, ModuleListAndModuleDictCannotBeCalled) {
  EXPECT_EQ(error_of([] { (*std::make_shared<ModuleList>())(pattern({1})); }),
            "Module [ModuleList] is missing the required \"forward\" function");
  EXPECT_EQ(error_of([] { (*std::make_shared<ModuleDict>())(pattern({1})); }),
            "Module [ModuleDict] is missing the required \"forward\" function");
}

}  // namespace
}  // namespace tapewire
