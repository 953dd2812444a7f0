#include "core/optim/scheduler.h"

#include "core/optim/sgd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/optim/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;

TEST(StepLRTest, MultipliesEveryStepSizeEpochs) {
  SGD sgd(std::vector<SGD::OptionGroup>{{{parameter("a", {1})}, {.lr = 1}}, {{parameter("b", {1})}, {.lr = 0.5}}});
  StepLR schedule(sgd, {.step_size = 2, .gamma = 0.5});
  EXPECT_EQ(schedule.last_epoch(), 0);
  EXPECT_THAT(schedule.last_lr(), ElementsAre(1, 0.5));
  std::vector<double> rates;
  for (int epoch = 0; epoch < 5; ++epoch) {
    schedule.step();
    rates.push_back(sgd.learning_rate(0));
    EXPECT_EQ(sgd.learning_rate(1), rates.back() / 2);
    EXPECT_THAT(schedule.last_lr(), ElementsAre(rates.back(), rates.back() / 2));
  }
  EXPECT_THAT(rates, ElementsAre(1, 0.5, 0.5, 0.25, 0.25));
  EXPECT_EQ(schedule.last_epoch(), 5);
  EXPECT_EQ(sgd.initial_learning_rate(0), 1);
}

TEST(StepLRTest, ChainsWithRatesSetByHand) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  StepLR schedule(sgd, {.step_size = 1, .gamma = 0.5});
  sgd.set_learning_rate(8);
  schedule.step();
  EXPECT_EQ(sgd.learning_rate(), 4);
}

TEST(StepLRTest, TakesAMetricItDoesNotNeed) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  StepLR schedule(sgd, {.step_size = 1});
  schedule.step(0.25);
  EXPECT_DOUBLE_EQ(sgd.learning_rate(), 0.1);
}

TEST(StepLRTest, RefusesWhatCannotBe) {
  SGD sgd({parameter("a", {1})}, {});
  EXPECT_EQ(error_of([&] { StepLR(sgd, {.step_size = 0}); }), "StepLR: step_size must be at least 1, got 0");
  EXPECT_EQ(error_of([&] { StepLR(sgd, {.gamma = -0.5}); }), "StepLR: gamma must not be negative, got -0.5");
}

TEST(SchedulerTest, StateComesBack) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  StepLR schedule(sgd, {.step_size = 3});
  schedule.step();
  schedule.step();
  const SchedulerState state = schedule.state_dict();
  EXPECT_THAT(state, ElementsAre(testing::Pair("last_epoch", 2), testing::Pair("last_lr0", 1)));
  SGD other({parameter("a", {1})}, {.lr = 1});
  StepLR resumed(other, {.step_size = 3});
  resumed.load_state_dict(state);
  resumed.step();
  EXPECT_DOUBLE_EQ(other.learning_rate(), 0.1);
}

TEST(SchedulerTest, LoadStateDictRefusesWhatDoesNotFit) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  StepLR schedule(sgd, {.step_size = 3});
  const std::string where = "Error(s) in loading state_dict for StepLR: ";
  EXPECT_EQ(error_of([&] { schedule.load_state_dict({{"last_epoch", 1}}); }), where + "missing 'last_lr0'");
  EXPECT_EQ(error_of([&] { schedule.load_state_dict({{"last_epoch", -1}, {"last_lr0", 1}}); }),
            where + "'last_epoch' must be a count, got -1.0");
  EXPECT_EQ(error_of([&] { schedule.load_state_dict({{"last_epoch", 1}, {"last_lr0", 1}, {"gamma", 1}}); }),
            where + "unexpected 'gamma'");
  EXPECT_EQ(schedule.last_epoch(), 0);
}

TEST(SchedulerDefTest, MakesAScheduleOrReportsFaults) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  std::vector<std::string> faults;
  const auto schedule = require_scheduler("StepLR").make(sgd, {{"step_size", 1}, {"gamma", 0.25}}, faults);
  ASSERT_THAT(faults, testing::IsEmpty());
  schedule->step();
  EXPECT_EQ(sgd.learning_rate(), 0.25);
  EXPECT_EQ(require_scheduler("StepLR").make(sgd, {{"gama", 0.25}}, faults), nullptr);
  EXPECT_THAT(faults, ElementsAre("unknown attribute 'gama'; did you mean 'gamma'?", "missing attribute 'step_size'"));
  EXPECT_EQ(error_of([] { require_scheduler("StepLr"); }), "unknown scheduler type 'StepLr'; did you mean 'StepLR'?");
}

}  // namespace
}  // namespace tapewire
