#include "core/nn/normalization.h"

#include "core/nn/layer_norm.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/layer_case.h"
#include "tests/nn/torch_values.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

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

TEST(InstanceNormTest, WithoutMomentumKeepsItsRunningStatistics) {
  const auto norm =
      make_module("InstanceNorm1d", {{"num_features", 2}, {"momentum", Value()}, {"track_running_stats", true}});
  (*norm)(pattern({2, 2, 3}, 7, 3, DType::kFloat32));
  EXPECT_EQ(norm->named_buffers()[0].tensor.to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(norm->named_buffers()[1].tensor.to_vector<float>(), (std::vector<float>{1, 1}));
}

TEST(InstanceNormTest, UsesRunningStatisticsInEvaluationOnlyWhenTracking) {
  for (const bool tracking : {false, true}) {
    const auto norm = make_module("InstanceNorm1d", {{"num_features", 2}, {"track_running_stats", tracking}});
    const Tensor x = pattern({1, 2, 4}, 7, 3, DType::kFloat32);
    const std::vector<float> in_training = (*norm)(x).to_vector<float>();
    norm->eval();
    EXPECT_EQ((*norm)(x).to_vector<float>() == in_training, !tracking);
  }
}

TEST(InstanceNormTest, ChecksDimensionsAndChannels) {
  const auto error = [](const char* type, bool affine, const Shape& sizes) {
    const auto norm = make_module(type, {{"num_features", 2}, {"affine", affine}});
    return error_of([&] { (*norm)(Tensor::zeros(sizes)); });
  };
  EXPECT_EQ(error("InstanceNorm1d", false, {2}), "InstanceNorm1d: expected 2D or 3D input (got 1D input)");
  EXPECT_EQ(error("InstanceNorm2d", false, {2, 2}), "InstanceNorm2d: expected 3D or 4D input (got 2D input)");
  EXPECT_EQ(error("InstanceNorm3d", false, {2, 2, 2}), "InstanceNorm3d: expected 4D or 5D input (got 3D input)");
  EXPECT_EQ(error("InstanceNorm1d", true, {1, 3, 4}),
            "InstanceNorm1d: expected input's size at dim=1 to match num_features (2), but got: 3.");
  EXPECT_EQ(error("InstanceNorm1d", false, {1, 3, 4}), "");
  EXPECT_THAT(error("InstanceNorm1d", false, {2, 2, 1}),
              HasSubstr("Expected more than 1 spatial element when training, got input size [2, 2, 1]"));
}

TEST(LayerNormTest, StartsAsOnesAndZeros) {
  const LayerNorm norm({.normalized_shape = {2, 2}});
  EXPECT_EQ(norm.weight().to_vector<float>(), (std::vector<float>{1, 1, 1, 1}));
  EXPECT_EQ(norm.bias().to_vector<float>(), (std::vector<float>{0, 0, 0, 0}));
  const LayerNorm plain({.normalized_shape = {2}, .bias = false});
  EXPECT_TRUE(plain.weight().defined());
  EXPECT_FALSE(plain.bias().defined());
}

TEST(LayerNormTest, ChecksTheInputsLastDimensions) {
  const auto norm = make_module("LayerNorm", {{"normalized_shape", Tuple{2, 3}}});
  EXPECT_THAT(
      error_of([&] { (*norm)(Tensor::zeros({3, 2})); }),
      HasSubstr("Given normalized_shape=[2, 3], expected input with shape [*, 2, 3], but got input of size[3, 2]"));
}

TEST(GroupNormTest, ChecksTheInputsChannels) {
  const auto norm = make_module("GroupNorm", {{"num_groups", 2}, {"num_channels", 4}});
  EXPECT_THAT(error_of([&] { (*norm)(Tensor::zeros({2, 6, 2})); }),
              HasSubstr("Expected weight to be a vector of size"));
}

}  // namespace
}  // namespace tapewire
