#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/layer_case.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string making_error(const char* type, const AttributeMap& attributes) {
  return error_of([&] { make_module(type, attributes); });
}

TEST(UnflattenTest, RefusesSizesThatCannotBe) {
  const auto error = [](const Tuple& sizes) {
    return making_error("Unflatten", {{"dim", 1}, {"unflattened_size", sizes}});
  };
  EXPECT_EQ(error({2, -1}), "");
  EXPECT_EQ(error({}), "Unflatten: unflattened_size must be non-empty");
  EXPECT_EQ(error({2, -2}), "Unflatten: unflattened_size must not be below -1, got [2, -2]");
  EXPECT_EQ(error({-1, -1}), "Unflatten: only one size can be inferred, got [-1, -1]");
  EXPECT_NE(error({int64_t{1} << 40, int64_t{1} << 40}), "");
}

TEST(UnflattenTest, ChecksTheDimension) {
  const auto unflatten = make_module("Unflatten", {{"dim", 1}, {"unflattened_size", Tuple{2, 2}}});
  EXPECT_THAT(error_of([&] { (*unflatten)(Tensor::zeros({1, 5})); }),
              HasSubstr("Provided sizes [2, 2] don't multiply up to the size of dim 1 (5)"));
}

TEST(ChannelShuffleTest, DealsOutTheGroupsInTurn) {
  const auto shuffle = make_module("ChannelShuffle", {{"groups", 2}});
  EXPECT_THAT((*shuffle)(Tensor::of<float>({1, 2, 3, 4, 5, 6}, {1, 6, 1})).to_vector<float>(),
              ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(ChannelShuffleTest, ChecksChannelsAndGroups) {
  EXPECT_EQ(making_error("ChannelShuffle", {{"groups", 0}}),
            "ChannelShuffle: Number of groups to divide channels in must be positive. Value of groups:0");
  const auto shuffle = make_module("ChannelShuffle", {{"groups", 4}});
  EXPECT_EQ(error_of([&] { (*shuffle)(Tensor::zeros({1, 6, 2})); }),
            "ChannelShuffle: Number of channels must be divisible by groups. Got 6 channels and 4 groups.");
  EXPECT_EQ(error_of([&] { (*shuffle)(Tensor::zeros({1, 4})); }),
            "ChannelShuffle: channel_shuffle expects input with > 2 dims, but got input with sizes [1, 4]");
}

TEST(UpsampleTest, RefusesWhatCannotBe) {
  const auto error = [](const AttributeMap& attributes) { return making_error("Upsample", attributes); };
  EXPECT_EQ(error({}), "Upsample: either size or scale_factor should be defined");
  EXPECT_EQ(error({{"size", 2}, {"scale_factor", 2}}), "Upsample: only one of size or scale_factor should be defined");
  EXPECT_EQ(error({{"scale_factor", 0}}), "Upsample: scale_factor must be a positive number, got 0.0");
  EXPECT_EQ(error({{"scale_factor", std::nan("")}}), "Upsample: scale_factor must be a positive number, got nan");
  EXPECT_EQ(error({{"size", 0}}), "Upsample: size must be at least 1, got [0]");
  EXPECT_EQ(error({{"size", Tuple{1, 2, 3, 4}}}), "Upsample: size must be one number or up to 3, got 4");
  EXPECT_EQ(error({{"size", 2}, {"mode", "cubic"}}),
            "Upsample: mode must be one of nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact, "
            "got 'cubic'");
  EXPECT_EQ(
      error({{"size", 2}, {"align_corners", true}}),
      "Upsample: align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
      "trilinear");
}

TEST(PaddingTest, WantsOneNumberOrAPairForEachDimension) {
  EXPECT_EQ(making_error("ConstantPad1d", {{"padding", Tuple{1, 2, 3}}, {"value", 0}}),
            "ConstantPad1d: padding must be one int or 2, got [1, 2, 3]");
  EXPECT_EQ(making_error("ReflectionPad2d", {{"padding", Tuple{1, 2}}}),
            "ReflectionPad2d: padding must be one int or 4, got [1, 2]");
  EXPECT_EQ(making_error("CircularPad3d", {{"padding", Tuple{}}}),
            "CircularPad3d: padding must be one int or 6, got []");
  EXPECT_EQ(making_error("ConstantPad1d", {{"padding", 1}}), "missing attribute 'value'");
}

TEST(PaddingTest, ReflectsByLessThanTheSize) {
  const auto pad = make_module("ReflectionPad1d", {{"padding", 3}});
  EXPECT_THAT(error_of([&] { (*pad)(Tensor::zeros({1, 1, 3})); }),
              HasSubstr("Padding size should be less than the corresponding input dimension"));
}

TEST(FoldTest, ChecksTheNumberOfBlocks) {
  const auto fold = make_module("Fold", {{"output_size", 3}, {"kernel_size", 2}});
  EXPECT_THAT(
      error_of([&] { (*fold)(Tensor::zeros({1, 4, 3})); }),
      HasSubstr("expected size of input's dimension 2 to match the calculated number of sliding blocks 2 * 2 = 4"));
}

TEST(DistanceTest, TakesItsArgumentsByName) {
  Args args;
  args.named.emplace_back("x2", Tensor::of<float>({0, 2}, {1, 2}));
  args.named.emplace_back("x1", Tensor::of<float>({3, 6}, {1, 2}));
  const auto distance = make_module("PairwiseDistance", {{"eps", 0.0}});
  EXPECT_THAT((*distance)(args).tensor().to_vector<float>(), ElementsAre(5));
  args.named.pop_back();
  EXPECT_EQ(error_of([&] { (*distance)(args); }), "PairwiseDistance: argument 'x1' is missing");
}

}  // namespace
}  // namespace tapewire
