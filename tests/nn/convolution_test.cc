#include "core/nn/convolution.h"

#include "core/nn/conv_transpose.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/convolution_values.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

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
  EXPECT_EQ(with([](ConvOptions& o) { o.padding_mode = "reflect"; }), "");
  EXPECT_THAT(with([](ConvOptions& o) { o.padding = "same", o.kernel_size = {1 << 30}, o.dilation = {1LL << 40}; }),
              HasSubstr("Conv2d: kernel_size 1073741824 and dilation 1099511627776 overflow"));
  EXPECT_THAT(with([](ConvOptions& o) { o.padding_mode = "zero"; }), HasSubstr("padding_mode must be one of 'zeros'"));
}

std::vector<float> parameters_of(const Module& module) {
  std::vector<float> out;
  for (const NamedTensor& p : module.own_parameters()) {
    if (!p.tensor.defined()) continue;
    for (const float value : p.tensor.to_vector<float>()) out.push_back(value);
  }
  return out;
}

TEST(ConvTransposeTest, StartsWithPyTorchsWeights) {
  manual_seed(11);
  const ConvTranspose1d one({.in_channels = 2, .out_channels = 4, .kernel_size = {3}, .groups = 2});
  EXPECT_EQ(parameters_of(one), torch_values::kSeededConvTranspose1d);
  const ConvTranspose2d two({.in_channels = 2, .out_channels = 3, .kernel_size = {2}, .bias = false});
  EXPECT_EQ(parameters_of(two), torch_values::kSeededConvTranspose2d);
  const ConvTranspose3d three({.in_channels = 1, .out_channels = 2, .kernel_size = {1, 2, 2}});
  EXPECT_EQ(parameters_of(three), torch_values::kSeededConvTranspose3d);
}

// Of stride 3 three sizes are convolved to one; output_size says which is meant.
TEST(ConvTransposeTest, OutputSizeTakesThePlaceOfOutputPadding) {
  ConvTranspose1d conv({.in_channels = 1, .out_channels = 1, .kernel_size = {2}, .stride = {3}, .padding = {1}});
  const Tensor x = pattern({1, 1, 4}, 7, 3, DType::kFloat32);
  const auto size = [&](const Value& output_size) { return conv(Args{x, output_size}).tensor().sizes(); };
  EXPECT_EQ(size(Value()), (Shape{1, 1, 9}));
  EXPECT_EQ(size(Tuple{9}), (Shape{1, 1, 9}));
  EXPECT_EQ(size(10), (Shape{1, 1, 10}));
  EXPECT_EQ(size(Tuple{1, 1, 11}), (Shape{1, 1, 11}));
}

TEST(ConvTransposeTest, RefusesAnOutputSizeThatCannotBe) {
  ConvTranspose1d conv({.in_channels = 1, .out_channels = 1, .kernel_size = {2}, .stride = {3}, .padding = {1}});
  const auto error = [&](const Shape& input, const Value& output_size) {
    return error_of([&] { conv(Args{Tensor::zeros(input), output_size}); });
  };
  EXPECT_EQ(
      error({1, 1, 4}, Tuple{12}),
      "ConvTranspose1d: requested an output size of [12], but valid sizes range from [9] to [11] (for an input of "
      "[4])");
  EXPECT_EQ(error({1, 1, 4}, Tuple{9, 9}),
            "ConvTranspose1d: for 3D input, output_size must have 1 or 3 elements (got 2)");
  EXPECT_EQ(error({4}, Tuple{9}), "ConvTranspose1d: for 1D input, output_size must have 1 or 2 elements (got 1)");
  EXPECT_EQ(error({1, 1, 4}, "large"), "expected ints, got string 'large'");
}

TEST(ConvTransposeTest, RefusesAnOutputThatOverflows) {
  ConvTranspose1d conv({.in_channels = 1, .out_channels = 1, .kernel_size = {2}, .stride = {1 << 20}});
  EXPECT_EQ(error_of([&] { conv(Args{Tensor::zeros({0, 1, int64_t{1} << 50}), Tuple{9}}); }),
            "ConvTranspose1d: the output's size overflows");
}

TEST(ConvTransposeTest, RefusesWhatCannotBe) {
  const auto error = [](auto change) {
    ConvTransposeOptions o{.in_channels = 4, .out_channels = 4, .kernel_size = {3}};
    change(o);
    return error_of([&] { ConvTranspose2d conv(o); });
  };
  EXPECT_EQ(error([](ConvTransposeOptions& o) { o.groups = 3; }),
            "ConvTranspose2d: in_channels must be divisible by groups, got 4 and 3");
  EXPECT_EQ(error([](ConvTransposeOptions& o) { o.output_padding = {1, 1, 1}; }),
            "ConvTranspose2d: output_padding must be one int or 2, got [1, 1, 1]");
  EXPECT_EQ(error([](ConvTransposeOptions& o) { o.padding_mode = "reflect"; }),
            "ConvTranspose2d: Only \"zeros\" padding mode is supported for ConvTranspose2d, got 'reflect'");
}

}  // namespace
}  // namespace tapewire
