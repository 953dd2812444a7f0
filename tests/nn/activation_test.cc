#include "core/nn/activation.h"

#include "core/nn/piecewise_activation.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/layer_case.h"

namespace tapewire {
namespace {

using testing::Each;

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

TEST(ActivationTest, InPlaceFormsChangeTheirInput) {
  for (const char* type : {"ReLU", "ReLU6", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardtanh", "Hardsigmoid",
                           "Hardswish", "LeakyReLU", "RReLU"}) {
    const auto module = make_module(type, {{"inplace", true}});
    const Tensor x = pattern({8});
    EXPECT_TRUE((*module)(x).is_same(x)) << type;
    EXPECT_EQ(x.version(), 1u) << type;
  }
}

TEST(ActivationTest, LeavesTheirInputOtherwise) {
  for (const char* type : {"ReLU", "ReLU6", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardtanh", "Hardsigmoid",
                           "Hardswish", "LeakyReLU", "RReLU"}) {
    const auto module = make_module(type, {});
    const Tensor x = pattern({8});
    EXPECT_FALSE((*module)(x).is_same(x)) << type;
    EXPECT_EQ(x.version(), 0u) << type;
  }
}

TEST(RReLUTest, DrawsSlopesInTrainingAndTakesTheirMeanInEvaluation) {
  const auto rrelu = make_module("RReLU", {{"lower", 0.25}, {"upper", 0.75}});
  const Tensor x = Tensor::full({100}, -1.0);
  const std::vector<float> drawn = (*rrelu)(x).to_vector<float>();
  EXPECT_THAT(drawn, Each(testing::AllOf(testing::Ge(-0.75f), testing::Le(-0.25f))));
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_NE((*rrelu)(x).to_vector<float>(), drawn);
  rrelu->eval();
  EXPECT_THAT((*rrelu)(x).to_vector<float>(), Each(-0.5f));
}

TEST(PReLUTest, StartsAtInit) {
  EXPECT_EQ(PReLU().weight().to_vector<float>(), std::vector<float>{0.25f});
  EXPECT_EQ(PReLU({.num_parameters = 2, .init = -1}).weight().to_vector<float>(), (std::vector<float>{-1, -1}));
}

TEST(Softmax2dTest, WantsChannelsAndTwoSpatialDimensions) {
  const auto softmax = make_module("Softmax2d", {});
  EXPECT_EQ(error_of([&] { (*softmax)(Tensor::zeros({2, 2})); }),
            "Softmax2d: expected input to be 3D or 4D, got 2D instead");
}

}  // namespace
}  // namespace tapewire
