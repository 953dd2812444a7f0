#include "core/nn/loss.h"

#include <memory>

#include "core/ops/activation.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"
#include "tests/nn/torch_values.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

struct LossTest : testing::Test {
  template <class Loss, class Options>
  double of(const Options& options, const Tensor& t) const {
    return (*std::make_shared<Loss>(options))(Args{x, t}).tensor().template item<double>();
  }

  Tensor x = pattern({3, 4});
  Tensor y = pattern({3, 4}, 3, 1);
  Tensor target = Tensor::of<int64_t>({3, 0, 2});
};

TEST_F(LossTest, MseMatchesPyTorch) {
  EXPECT_NEAR(of<MSELoss>(LossAttrs{}, y), torch_values::kMse[0], 1e-14);
  EXPECT_NEAR(of<MSELoss>(LossAttrs{Reduction::kSum}, y), torch_values::kMse[1], 1e-13);
}

TEST_F(LossTest, NllMatchesPyTorch) {
  EXPECT_NEAR(of<NLLLoss>(NllLossAttrs{}, target), torch_values::kNll[0], 1e-14);
  EXPECT_NEAR(of<NLLLoss>(NllLossAttrs{0, Reduction::kSum}, target), torch_values::kNll[1], 1e-14);
}

TEST_F(LossTest, CrossEntropyMatchesPyTorch) {
  const auto& expected = torch_values::kCrossEntropy;
  EXPECT_NEAR(of<CrossEntropyLoss>(CrossEntropyAttrs{}, target), expected[0], 1e-14);
  EXPECT_NEAR(of<CrossEntropyLoss>(CrossEntropyAttrs{2, Reduction::kSum}, target), expected[1], 1e-14);
  EXPECT_NEAR(of<CrossEntropyLoss>(CrossEntropyAttrs{.label_smoothing = 0.2}, target), expected[2], 1e-14);
  EXPECT_NEAR(of<CrossEntropyLoss>(CrossEntropyAttrs{}, softmax(y, {1})), expected[3], 1e-14);
  const auto none = std::make_shared<CrossEntropyLoss>(CrossEntropyAttrs{.reduction = Reduction::kNone});
  expect_near((*none)(Args{x, target}).tensor(), torch_values::kCrossEntropyNone, 1e-14);
}

TEST_F(LossTest, TellsWhatItWasGiven) {
  const auto loss = std::make_shared<MSELoss>();
  EXPECT_EQ(error_of([&] { (*loss)(Args{x}); }),
            "MSELoss: argument 'target' is missing");
  Args named{x, y};
  named.named.emplace_back("weight", 2.0);
  EXPECT_THAT(error_of([&] { (*loss)(named); }), HasSubstr("weight=float 2.0"));
  EXPECT_EQ(loss->repr(), "MSELoss()");
}

TEST_F(LossTest, RefusesOptionsOutOfRange) {
  EXPECT_EQ(error_of([] { CrossEntropyLoss loss({.label_smoothing = 1.5}); }),
            "CrossEntropyLoss: label_smoothing must be between 0.0 and 1.0. Got: 1.5");
  EXPECT_THAT(error_of([&] { of<CrossEntropyLoss>(CrossEntropyAttrs{}, Tensor::of<int64_t>({0, 1, 4})); }),
              HasSubstr("4"));
}

}  // namespace
}  // namespace tapewire
