#include "core/nn/init.h"

#include <cmath>
#include <memory>

#include "core/base/random.h"
#include "core/nn/convolution.h"
#include "core/nn/linear.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"
#include "tests/nn/torch_values.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

std::vector<float> weights(Module& module) {
  std::vector<float> out;
  for (const NamedTensor& p : module.named_parameters()) {
    const std::vector<float> values = p.tensor.to_vector<float>();
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

TEST(InitTest, SeededLayersStartWithPyTorchsBits) {
  manual_seed(11);
  EXPECT_EQ(weights(*std::make_shared<Linear>(3, 2)), torch_values::kSeededLinear);
  EXPECT_EQ(weights(*std::make_shared<Conv2d>(ConvOptions{.in_channels = 2, .out_channels = 2, .kernel_size = {3}})),
            torch_values::kSeededConv2d);
  EXPECT_EQ(weights(*std::make_shared<Conv1d>(
                ConvOptions{.in_channels = 2, .out_channels = 2, .kernel_size = {3}, .groups = 2})),
            torch_values::kSeededConv1d);
  EXPECT_EQ(weights(*std::make_shared<Conv3d>(ConvOptions{.in_channels = 1, .out_channels = 1, .kernel_size = {2}})),
            torch_values::kSeededConv3d);
  const Tensor next = Tensor::empty({3});
  init::uniform_(next);
  EXPECT_EQ(next.to_vector<float>(), torch_values::kSeededNext);
}

TEST(InitTest, LayersWithoutInputsStartAtZero) {
  const auto fc = std::make_shared<Linear>(0, 2);
  EXPECT_THAT(fc->bias().to_vector<float>(), ElementsAre(0, 0));
}

Tensor made(const char* rule, const AttributeMap& attributes, const Shape& sizes = {3, 4},
            DType dtype = DType::kFloat32) {
  manual_seed(5);
  const Tensor x = Tensor::zeros(sizes, dtype);
  std::vector<std::string> faults;
  require_init(rule).apply(attributes, x, faults);
  EXPECT_TRUE(faults.empty()) << faults[0];
  return x;
}

TEST(InitTest, UniformRulesGivePyTorchsBits) {
  EXPECT_EQ(made("uniform", {{"a", -2.0}, {"b", 3.0}}).to_vector<float>(), torch_values::kInitUniform);
  EXPECT_EQ(made("kaiming_uniform", {{"a", 0.2}, {"mode", "fan_out"}}).to_vector<float>(),
            torch_values::kInitKaimingUniform);
  EXPECT_EQ(made("kaiming_uniform", {{"nonlinearity", "relu"}}, {2, 3, 2}).to_vector<float>(),
            torch_values::kInitKaimingUniformRelu);
  EXPECT_EQ(made("xavier_uniform", {{"gain", 2}}, {2, 3, 2}).to_vector<float>(), torch_values::kInitXavierUniform);
}

TEST(InitTest, NormalRulesGivePyTorchsValues) {
  // To 4 ulp of the mean: cosines are not the same to the bit in each of PyTorch's builds.
  const auto near = [](const Tensor& x, const std::vector<float>& expected) {
    const std::vector<float> values = x.to_vector<float>();
    ASSERT_EQ(values.size(), expected.size());
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 4 * 0x1p-23) << i;
  };
  near(made("normal", {{"mean", 1.0}, {"std", 0.5}}), torch_values::kInitNormal);
  near(made("normal", {{"mean", 1.0}, {"std", 0.5}}, {4, 5}), torch_values::kInitNormal20);
  expect_near(made("kaiming_normal", {{"nonlinearity", "tanh"}}, {3, 4}, DType::kFloat64),
              torch_values::kInitKaimingNormal, 1e-14);
  expect_near(made("xavier_normal", {}, {3, 4}, DType::kFloat64), torch_values::kInitXavierNormal, 1e-14);
}

TEST(InitTest, ConstantRulesFill) {
  EXPECT_EQ(made("eye", {}, {2, 3}).to_vector<float>(), torch_values::kInitEye);
  EXPECT_THAT(made("constant", {{"val", 2.5}}, {2}).to_vector<float>(), ElementsAre(2.5, 2.5));
  EXPECT_THAT(made("constant", {{"val", 3}}, {2}, DType::kInt64).to_vector<int64_t>(), ElementsAre(3, 3));
  EXPECT_THAT(made("ones", {}, {2}, DType::kInt32).to_vector<int32_t>(), ElementsAre(1, 1));
  EXPECT_THAT(made("zeros", {}, {2}).to_vector<float>(), ElementsAre(0, 0));
}

TEST(InitTest, RaisesTheVersion) {
  const Tensor x = Tensor::zeros({2, 2});
  init::uniform_(x);
  init::constant_(x, 1);
  EXPECT_EQ(x.version(), 2u);
}

TEST(InitTest, CountsFans) {
  const init::Fans conv = init::fans(Tensor::zeros({8, 3, 5, 5}));
  EXPECT_EQ(conv.in, 75);
  EXPECT_EQ(conv.out, 200);
  EXPECT_DOUBLE_EQ(init::gain(init::Nonlinearity::kLeakyRelu), std::sqrt(2 / (1 + 1e-4)));
  EXPECT_DOUBLE_EQ(init::gain(init::Nonlinearity::kConv2d), 1);
  EXPECT_DOUBLE_EQ(init::gain(init::Nonlinearity::kSelu), 0.75);
}

TEST(InitTest, RefusesWhatCannotBe) {
  EXPECT_EQ(error_of([] { init::kaiming_uniform_(Tensor::zeros({3})); }),
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got [3]");
  EXPECT_EQ(error_of([] { init::eye_(Tensor::zeros({3})); }), "Only tensors with 2 dimensions are supported, got [3]");
  EXPECT_EQ(error_of([] { init::uniform_(Tensor::zeros({3}), {1, 0}); }),
            "uniform_ expects to return a [from, to) range, but found from=1.0 > to=0.0");
  EXPECT_EQ(error_of([] { init::normal_(Tensor::zeros({3}), {0, -1}); }),
            "normal expects std >= 0.0, but found std -1.0");
  EXPECT_EQ(error_of([] { init::normal_(Tensor::zeros({3}, DType::kInt64)); }),
            "normal: expects float32 or float64, got int64");
}

TEST(InitTest, ReportsEveryFaultOfAttributes) {
  const Tensor x = Tensor::full({2, 2}, 7.0);
  std::vector<std::string> faults;
  require_init("kaiming_uniform").apply({{"mode", "fan_inn"}, {"slope", 1}}, x, faults);
  EXPECT_THAT(faults, ElementsAre("attribute 'mode': expected one of 'fan_in', 'fan_out', got 'fan_inn'",
                                  "unknown attribute 'slope'"));
  EXPECT_THAT(x.to_vector<float>(), testing::Each(7));
  EXPECT_EQ(error_of([] { require_init("kaiming_unifrom"); }),
            "unknown init rule 'kaiming_unifrom'; did you mean 'kaiming_uniform'?");
  EXPECT_EQ(all_inits().size(), 10u);
}

}  // namespace
}  // namespace tapewire
