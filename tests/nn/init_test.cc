#include "core/nn/init.h"

#include <cmath>
#include <limits>
#include <memory>

#include "core/base/random.h"
#include "core/nn/convolution.h"
#include "core/nn/linear.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"
#include "tests/nn/torch_init.h"
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
}

TEST(InitTest, CalculatesPyTorchsGains) {
  const auto& names = EnumNames<init::Nonlinearity>::names;
  ASSERT_EQ(torch_values::kGains.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(init::calculate_gain(names[i]), torch_values::kGains[i]) << names[i];
    EXPECT_EQ(init::calculate_gain(static_cast<init::Nonlinearity>(i)), torch_values::kGains[i]) << names[i];
  }
  EXPECT_EQ(init::calculate_gain("leaky_relu", 0.3), torch_values::kGainOfSlope[0]);
  EXPECT_EQ(error_of([] { init::calculate_gain("relu7"); }), "Unsupported nonlinearity relu7");
}

TEST(InitTest, TruncatedNormalsArePyTorchs) {
  const AttributeMap narrow{{"mean", 0.5}, {"std", 0.2}, {"a", 0}, {"b", 0.9}};
  expect_near(made("trunc_normal", {}, {4, 5}, DType::kFloat64), torch_values::kTruncNormal, 1e-15);
  const std::vector<float> drawn = made("trunc_normal", narrow, {4, 5}).to_vector<float>();
  ASSERT_EQ(drawn.size(), torch_values::kTruncNormalFloat.size());
  for (size_t i = 0; i < drawn.size(); ++i) EXPECT_NEAR(drawn[i], torch_values::kTruncNormalFloat[i], 0x1p-23) << i;
}

TEST(InitTest, TruncatedNormalsMayHaveNoBounds) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const float v : made("trunc_normal", {{"a", -infinity}, {"b", infinity}}).to_vector<float>()) {
    EXPECT_TRUE(std::isfinite(v));
  }
}

TEST(InitTest, DiracIsPyTorchs) {
  EXPECT_EQ(made("dirac", {}, {3, 2, 4}).to_vector<float>(), torch_values::kDirac3);
  EXPECT_EQ(made("dirac", {{"groups", 2}}, {4, 2, 3, 2}).to_vector<float>(), torch_values::kDirac4);
  EXPECT_EQ(made("dirac", {}, {2, 3, 1, 2, 3}).to_vector<float>(), torch_values::kDirac5);
}

TEST(InitTest, OrthogonalMatricesArePyTorchs) {
  expect_near(made("orthogonal", {}, {5, 3}, DType::kFloat64), torch_values::kOrthogonalTall, 1e-13);
  expect_near(made("orthogonal", {{"gain", 2}}, {3, 5}, DType::kFloat64), torch_values::kOrthogonalWide, 1e-13);
  expect_near(made("orthogonal", {}, {4, 4}, DType::kFloat64), torch_values::kOrthogonalSquare, 1e-13);
  const Tensor conv = made("orthogonal", {}, {2, 3, 2, 2});
  ASSERT_EQ(conv.numel(), 24);
  for (size_t i = 0; i < 24; ++i) {
    EXPECT_NEAR(conv.to_vector<float>()[i], torch_values::kOrthogonalConv[i], 2e-6) << i;
  }
}

TEST(InitTest, SparseColumnsArePyTorchs) {
  expect_near(made("sparse", {{"sparsity", 0.3}, {"std", 0.5}}, {5, 4}, DType::kFloat64), torch_values::kSparse, 1e-15);
  const std::vector<float> small = made("sparse", {{"sparsity", 0.5}}, {2, 3}).to_vector<float>();
  ASSERT_EQ(small.size(), torch_values::kSparseSmall.size());
  for (size_t i = 0; i < small.size(); ++i) EXPECT_NEAR(small[i], torch_values::kSparseSmall[i], 1e-8) << i;
}

TEST(InitTest, FillsTensorsOfAnyStrides) {
  const Tensor base = Tensor::zeros({3, 2}, DType::kFloat64);
  const Tensor turned = base.alias({{2, 3}, {1, 2}, 0});
  manual_seed(5);
  init::orthogonal_(turned);
  manual_seed(5);
  const Tensor plain = Tensor::zeros({2, 3}, DType::kFloat64);
  init::orthogonal_(plain);
  expect_near(turned, plain.to_vector<double>(), 0);
  init::eye_(turned);
  EXPECT_THAT(base.to_vector<double>(), ElementsAre(1, 0, 0, 1, 0, 0));
}

TEST(InitTest, EmptyTensorsAreLeftAlone) {
  for (const char* rule : {"kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "orthogonal"}) {
    EXPECT_EQ(made(rule, {}, {0, 0}).numel(), 0) << rule;
  }
  EXPECT_EQ(made("sparse", {{"sparsity", 1}}, {0, 3}).numel(), 0);
  EXPECT_EQ(made("dirac", {{"groups", int64_t{1} << 40}}, {0, 2, 3}).numel(), 0);
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
  EXPECT_NE(error_of([] { init::uniform_(Tensor::zeros({3}), {std::nan(""), 0}); }), "");
  EXPECT_EQ(error_of([] { init::uniform_(Tensor::zeros({3}), {-1e300, 1}); }),
            "uniform_ expects to-from <= std::numeric_limits<float32>::max(), but found to=1.0 and from=-1e+300");
  EXPECT_EQ(error_of([] { init::trunc_normal_(Tensor::zeros({3}), {.std = 0}); }),
            "trunc_normal expects std > 0.0, but found std 0.0");
  EXPECT_NE(error_of([] { init::trunc_normal_(Tensor::zeros({3}), {.mean = std::nan("")}); }), "");
  EXPECT_THAT(error_of([] { init::trunc_normal_(Tensor::zeros({3}), {.a = 1, .b = -1}); }),
              testing::HasSubstr("uniform_ expects to return a [from, to) range"));
  EXPECT_EQ(error_of([] { init::dirac_(Tensor::zeros({3, 3})); }),
            "Only tensors with 3, 4, or 5 dimensions are supported, got [3, 3]");
  EXPECT_EQ(error_of([] { init::dirac_(Tensor::zeros({3, 3, 1}), {.groups = 2}); }),
            "dim 0 must be divisible by groups, got [3, 3, 1] and 2");
  EXPECT_NE(error_of([] { init::dirac_(Tensor::zeros({3, 3, 1}), {.groups = 0}); }), "");
  EXPECT_EQ(error_of([] { init::orthogonal_(Tensor::zeros({3})); }),
            "Only tensors with 2 or more dimensions are supported, got [3]");
  EXPECT_EQ(error_of([] { init::sparse_(Tensor::zeros({3, 3, 1}), {.sparsity = 0.5}); }),
            "Only tensors with 2 dimensions are supported, got [3, 3, 1]");
  EXPECT_EQ(error_of([] { init::sparse_(Tensor::zeros({3, 3}), {.sparsity = 1.5}); }),
            "sparse expects a sparsity between 0.0 and 1.0, but found 1.5");
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
  EXPECT_EQ(all_inits().size(), 14u);
}

}  // namespace
}  // namespace tapewire
