#include <cmath>
#include <memory>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/random.h"
#include "core/nn/activation.h"
#include "core/nn/container.h"
#include "core/nn/convolution.h"
#include "core/nn/dropout.h"
#include "core/nn/linear.h"
#include "core/nn/normalization.h"
#include "core/nn/pooling.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"
#include "tests/nn/torch_values.h"

namespace tapewire {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using torch_values::LayerValues;

struct LayerCase {
  const char* name;
  std::shared_ptr<Module> (*make)();
  Shape input;
};

template <class M, auto... kOptions>
std::shared_ptr<Module> make() {
  return std::make_shared<M>(kOptions...);
}

std::shared_ptr<Module> conv1d(ConvOptions o) { return std::make_shared<Conv1d>(o); }
std::shared_ptr<Module> conv2d(ConvOptions o) { return std::make_shared<Conv2d>(o); }

const std::vector<LayerCase>& cases() {
  static const std::vector<LayerCase> all{
      {"Linear", [] { return make<Linear, 3, 2>(); }, {2, 3}},
      {"Conv1d",
       [] { return conv1d({.in_channels = 2, .out_channels = 2, .kernel_size = {3}, .stride = {2}, .padding = 1}); },
       {2, 2, 5}},
      {"Conv1d_same",
       [] { return conv1d({.in_channels = 1, .out_channels = 2, .kernel_size = {4}, .padding = "same"}); },
       {1, 1, 6}},
      {"Conv2d", [] { return conv2d({.in_channels = 2, .out_channels = 2, .kernel_size = {2}}); }, {1, 2, 3, 3}},
      {"Conv2d_groups",
       [] {
         return conv2d({.in_channels = 2,
                        .out_channels = 4,
                        .kernel_size = {1, 2},
                        .dilation = {1, 2},
                        .groups = 2,
                        .bias = false});
       },
       {1, 2, 2, 4}},
      {"Conv2d_same",
       [] { return conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = {2, 3}, .padding = "same"}); },
       {1, 1, 3, 4}},
      {"Conv2d_unbatched",
       [] { return conv2d({.in_channels = 1, .out_channels = 1, .kernel_size = {2}, .padding = Shape{0, 1}}); },
       {1, 2, 3}},
      {"Conv3d",
       []() -> std::shared_ptr<Module> {
         return std::make_shared<Conv3d>(ConvOptions{.in_channels = 1, .out_channels = 2, .kernel_size = {2}});
       },
       {1, 1, 2, 3, 3}},
      {"BatchNorm1d", [] { return make<BatchNorm1d, 3>(); }, {4, 3}},
      {"BatchNorm2d", [] { return make<BatchNorm2d, 2>(); }, {2, 2, 2, 2}},
      {"BatchNorm3d",
       []() -> std::shared_ptr<Module> {
         return std::make_shared<BatchNorm3d>(BatchNormOptions{.num_features = 2, .eps = 1e-3});
       },
       {2, 2, 1, 2, 2}},
      {"ReLU", [] { return make<ReLU>(); }, {2, 4}},
      {"Sigmoid", [] { return make<Sigmoid>(); }, {2, 4}},
      {"Tanh", [] { return make<Tanh>(); }, {2, 4}},
      {"Softmax", []() -> std::shared_ptr<Module> { return std::make_shared<Softmax>(SoftmaxOptions{1}); }, {2, 4}},
      {"LogSoftmax",
       []() -> std::shared_ptr<Module> { return std::make_shared<LogSoftmax>(SoftmaxOptions{0}); },
       {2, 4}},
      {"MaxPool2d",
       []() -> std::shared_ptr<Module> {
         return std::make_shared<MaxPool2d>(MaxPoolOptions{.kernel_size = {2}, .padding = {1}});
       },
       {1, 2, 4, 3}},
      {"MaxPool2d_ceil",
       []() -> std::shared_ptr<Module> {
         return std::make_shared<MaxPool2d>(
             MaxPoolOptions{.kernel_size = {2, 1}, .stride = Shape{1, 2}, .ceil_mode = true});
       },
       {1, 1, 3, 4}},
      {"Flatten", [] { return make<Flatten>(); }, {2, 2, 2}},
  };
  return all;
}

std::shared_ptr<Module> filled(const LayerCase& c) {
  std::shared_ptr<Module> module = c.make();
  module->to(DType::kFloat64);
  StateDict state;
  for (const NamedTensor& p : module->named_parameters()) {
    state.push_back({p.name, pattern(p.tensor.sizes(), 5, static_cast<int64_t>(state.size()) + 1)});
  }
  module->load_state_dict(state, false);
  return module;
}

Tensor weighted_sum(const Tensor& out) { return sum(mul(out, pattern(out.sizes(), 3, 1))); }

class LayerTest : public testing::TestWithParam<LayerCase> {};

TEST_P(LayerTest, MatchesPyTorchForwardAndBackward) {
  const LayerCase& c = GetParam();
  const LayerValues* expected = nullptr;
  for (const LayerValues& v : torch_values::layer_values()) {
    if (std::string_view(v.name) == c.name) expected = &v;
  }
  ASSERT_NE(expected, nullptr);
  const std::shared_ptr<Module> module = filled(c);
  const Tensor x = pattern(c.input);
  set_requires_grad(x);
  const Tensor out = (*module)(x);
  EXPECT_THAT(out.sizes(), testing::ElementsAreArray(expected->shape));
  expect_near(out, expected->output);
  backward(weighted_sum(out));
  const std::vector<NamedTensor> parameters = module->named_parameters();
  ASSERT_EQ(expected->grads.size(), parameters.size() + 1);
  expect_near(gradient(x), expected->grads[0]);
  for (size_t i = 0; i < parameters.size(); ++i) expect_near(gradient(parameters[i].tensor), expected->grads[i + 1]);
}

// Against central differences, by every parameter and the input: what PyTorch's gradcheck does.
TEST_P(LayerTest, GradientMatchesNumericalDifferences) {
  const std::shared_ptr<Module> module = filled(GetParam());
  // Away from the kinks of relu and from equal elements in a pooling window.
  const Tensor x = pattern(GetParam().input, 3, 2);
  for (int64_t i = 0; i < x.numel(); ++i) x.mutable_data<double>()[i] += 0.01 + 1e-3 * static_cast<double>(i);
  set_requires_grad(x);
  backward(weighted_sum((*module)(x)));
  std::vector<NamedTensor> leaves = module->named_parameters();
  leaves.push_back({"input", x});
  NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  for (const NamedTensor& leaf : leaves) {
    const std::vector<double> analytic = gradient(leaf.tensor).to_vector<double>();
    double* data = leaf.tensor.mutable_data<double>();
    for (size_t i = 0; i < analytic.size(); ++i) {
      const double value = data[i];
      data[i] = value + kStep;
      const double up = weighted_sum((*module)(x)).item<double>();
      data[i] = value - kStep;
      const double down = weighted_sum((*module)(x)).item<double>();
      data[i] = value;
      const double numerical = (up - down) / (2 * kStep);
      EXPECT_NEAR(analytic[i], numerical, 1e-5 + 1e-3 * std::abs(numerical)) << leaf.name << " " << i;
    }
  }
}

TEST_P(LayerTest, GivesTheSameUnderNoGrad) {
  const std::shared_ptr<Module> module = filled(GetParam());
  const Tensor x = pattern(GetParam().input);
  const std::vector<double> with = (*module)(x).to_vector<double>();
  NoGradGuard no_grad;
  const Tensor without = (*module)(x);
  EXPECT_FALSE(without.requires_grad());
  EXPECT_EQ(without.to_vector<double>(), with);
}

INSTANTIATE_TEST_SUITE_P(Layers, LayerTest, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST(BatchNormTest, MovesRunningStatisticsAsPyTorch) {
  for (const bool cumulative : {false, true}) {
    BatchNormOptions options{.num_features = 2, .momentum = 0.3};
    if (cumulative) options.momentum = std::nullopt;
    const auto bn = std::make_shared<BatchNorm2d>(options);
    bn->to(DType::kFloat64);
    for (int64_t n = 0; n < 3; ++n) (*bn)(pattern({2, 2, 2, 3}, 7 + 2 * n, n));
    std::vector<double> running = bn->running_mean().to_vector<double>();
    for (const double v : bn->running_var().to_vector<double>()) running.push_back(v);
    const auto& expected = cumulative ? torch_values::kCumulative : torch_values::kRunning;
    ASSERT_EQ(running.size(), expected.size());
    for (size_t i = 0; i < running.size(); ++i) EXPECT_NEAR(running[i], expected[i], 1e-14);
    EXPECT_EQ(bn->num_batches_tracked().item<int64_t>(), 3);
    bn->eval();
    expect_near((*bn)(pattern({1, 2, 1, 2})), cumulative ? torch_values::kCumulativeEval : torch_values::kRunningEval);
    EXPECT_EQ(bn->num_batches_tracked().item<int64_t>(), 3);
  }
}

TEST(BatchNormTest, WithoutTrackingAlwaysUsesTheBatch) {
  const auto bn =
      std::make_shared<BatchNorm1d>(BatchNormOptions{.num_features = 2, .affine = false, .track_running_stats = false});
  const Tensor x = pattern({4, 2}, 7, 3, DType::kFloat32);
  const std::vector<float> in_training = (*bn)(x).to_vector<float>();
  bn->eval();
  EXPECT_EQ((*bn)(x).to_vector<float>(), in_training);
  EXPECT_TRUE(bn->state_dict().empty());
  EXPECT_TRUE(bn->named_parameters().empty());
}

TEST(BatchNormTest, OneValuePerChannelInTrainingIsAnErrorThatChangesNothing) {
  const auto bn = std::make_shared<BatchNorm1d>(2);
  EXPECT_THAT(error_of([&] { (*bn)(Tensor::zeros({1, 2})); }),
              HasSubstr("Expected more than 1 value per channel when training, got input size [1, 2]"));
  EXPECT_EQ(bn->num_batches_tracked().item<int64_t>(), 0);
  bn->eval();
  EXPECT_EQ((*bn)(Tensor::zeros({1, 2})).numel(), 2);
}

TEST(BatchNormTest, ChecksDimensions) {
  EXPECT_EQ(error_of([] { (*std::make_shared<BatchNorm1d>(2))(Tensor::zeros({2, 2, 2, 2})); }),
            "BatchNorm1d: expected 2D or 3D input (got 4D input)");
  EXPECT_EQ(error_of([] { (*std::make_shared<BatchNorm2d>(2))(Tensor::zeros({2, 2})); }),
            "BatchNorm2d: expected 4D input (got 2D input)");
  EXPECT_EQ(error_of([] { (*std::make_shared<BatchNorm3d>(2))(Tensor::zeros({2, 2, 2, 2})); }),
            "BatchNorm3d: expected 5D input (got 4D input)");
}

TEST(DropoutTest, ScalesWhatItKeepsAndRepeatsUnderASeed) {
  const auto dropout = std::make_shared<Dropout>(DropoutOptions{.p = 0.25});
  const Tensor x = Tensor::full({400}, 3.0);
  manual_seed(1);
  const std::vector<float> once = (*dropout)(x).to_vector<float>();
  EXPECT_THAT(once, Each(testing::AnyOf(0.0f, 4.0f)));
  const auto dropped = std::count(once.begin(), once.end(), 0.0f);
  EXPECT_GT(dropped, 60);
  EXPECT_LT(dropped, 140);
  manual_seed(1);
  EXPECT_EQ((*dropout)(x).to_vector<float>(), once);
  dropout->eval();
  EXPECT_TRUE((*dropout)(x).is_same(x));
}

TEST(DropoutTest, InPlaceChangesItsInputByTheSameMask) {
  const auto plain = std::make_shared<Dropout>(DropoutOptions{.p = 0.5});
  const auto inplace = std::make_shared<Dropout>(DropoutOptions{.p = 0.5, .inplace = true});
  const Tensor x = pattern({3, 5});
  manual_seed(1);
  const std::vector<double> expected = (*plain)(x).to_vector<double>();
  manual_seed(1);
  const Tensor leaf = pattern({3, 5});
  set_requires_grad(leaf);
  const Tensor y = mul(leaf, 1.0);
  const Tensor out = (*inplace)(y);
  EXPECT_TRUE(out.is_same(y));
  EXPECT_EQ(out.to_vector<double>(), expected);
  backward(sum(out));
  for (size_t i = 0; i < expected.size(); ++i) {
    if (x.data<double>()[i] == 0) continue;
    EXPECT_EQ(gradient(leaf).data<double>()[i], expected[i] == 0 ? 0 : 2);
  }
  inplace->eval();
  EXPECT_TRUE((*inplace)(x).is_same(x));
}

TEST(DropoutTest, Dropout2dDropsWholeChannels) {
  for (const bool inplace : {false, true}) {
    const auto dropout = std::make_shared<Dropout2d>(DropoutOptions{.p = 0.5, .inplace = inplace});
    manual_seed(4);
    const std::vector<float> out = (*dropout)(Tensor::full({4, 8, 2, 2}, 1.0)).to_vector<float>();
    int dropped = 0;
    for (size_t c = 0; c < 32; ++c) {
      const std::vector<float> channel(out.begin() + static_cast<long>(4 * c),
                                       out.begin() + static_cast<long>(4 * c + 4));
      EXPECT_THAT(channel, Each(channel[0]));
      EXPECT_TRUE(channel[0] == 0 || channel[0] == 2);
      dropped += channel[0] == 0;
    }
    EXPECT_GT(dropped, 6);
    EXPECT_LT(dropped, 26);
  }
}

TEST(DropoutTest, RefusesWhatIsNoProbability) {
  EXPECT_EQ(error_of([] { Dropout({.p = 1.5}); }),
            "Dropout: dropout probability has to be between 0 and 1, but got 1.5");
  EXPECT_EQ(error_of([] { Dropout2d({.p = std::nan("")}); }),
            "Dropout2d: dropout probability has to be between 0 and 1, but got nan");
}

TEST(ReLUTest, InPlaceChangesItsInput) {
  const Tensor x = pattern({4});
  EXPECT_TRUE((*std::make_shared<ReLU>(InplaceOptions{true}))(x).is_same(x));
  EXPECT_THAT(x.to_vector<double>(), Each(testing::Ge(0)));
}

TEST(SoftmaxTest, WithoutADimTakesTheOneOfPyTorch) {
  const auto softmax = std::make_shared<Softmax>();
  const auto sums = [&](const Shape& sizes, int64_t dim) {
    return sum((*softmax)(pattern(sizes)), {.dim = Shape{dim}}).to_vector<double>();
  };
  EXPECT_THAT(sums({3}, 0), Each(testing::DoubleEq(1)));
  EXPECT_THAT(sums({2, 3}, 1), Each(testing::DoubleEq(1)));
  EXPECT_THAT(sums({2, 3, 2}, 0), Each(testing::DoubleEq(1)));
  EXPECT_THAT(sums({2, 3, 2, 2}, 1), Each(testing::DoubleEq(1)));
}

TEST(ConvTest, RefusesWhatCannotBe) {
  const auto error = [](ConvOptions o) { return error_of([&] { Conv2d conv(o); }); };
  const ConvOptions good{.in_channels = 4, .out_channels = 4, .kernel_size = {3}};
  const auto with = [&](auto change) {
    ConvOptions o = good;
    change(o);
    return error(o);
  };
  EXPECT_EQ(error(good), "");
  EXPECT_EQ(with([](ConvOptions& o) { o.groups = 0; }), "Conv2d: groups must be a positive integer, got 0");
  EXPECT_EQ(with([](ConvOptions& o) { o.groups = 3; }), "Conv2d: in_channels must be divisible by groups, got 4 and 3");
  EXPECT_EQ(with([](ConvOptions& o) { o.groups = 4, o.out_channels = 6; }),
            "Conv2d: out_channels must be divisible by groups, got 6 and 4");
  EXPECT_EQ(with([](ConvOptions& o) { o.in_channels = -4; }),
            "Conv2d: in_channels and out_channels must not be negative, got -4 and 4");
  EXPECT_EQ(with([](ConvOptions& o) { o.kernel_size = {3, 3, 3}; }),
            "Conv2d: kernel_size must be one int or 2, got [3, 3, 3]");
  EXPECT_EQ(with([](ConvOptions& o) { o.kernel_size = {}; }), "Conv2d: kernel_size must be one int or 2, got []");
  EXPECT_EQ(with([](ConvOptions& o) { o.stride = {0}; }), "Conv2d: stride must be at least 1, got [0]");
  EXPECT_EQ(with([](ConvOptions& o) { o.padding = -1; }), "Conv2d: padding must be at least 0, got [-1]");
  EXPECT_EQ(with([](ConvOptions& o) { o.padding = "full"; }),
            "Conv2d: Invalid padding string 'full', should be one of 'valid', 'same'");
  EXPECT_EQ(with([](ConvOptions& o) { o.padding = "same", o.stride = {2}; }),
            "Conv2d: padding='same' is not supported for strided convolutions");
  EXPECT_EQ(with([](ConvOptions& o) { o.padding_mode = "reflect"; }),
            "Conv2d: padding_mode 'reflect' is not supported, only 'zeros' is");
  EXPECT_THAT(with([](ConvOptions& o) { o.padding_mode = "zero"; }), HasSubstr("padding_mode must be one of 'zeros'"));
}

TEST(MaxPoolTest, RefusesWhatCannotBe) {
  EXPECT_EQ(error_of([] { MaxPool2d pool({.kernel_size = {2, 2, 2}}); }),
            "MaxPool2d: kernel_size must be one int or 2, got [2, 2, 2]");
  EXPECT_EQ(error_of([] { MaxPool2d pool({.kernel_size = {2}, .stride = Shape{0}}); }),
            "MaxPool2d: stride must be at least 1, got [0]");
}

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
