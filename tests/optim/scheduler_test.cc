#include "core/optim/scheduler.h"

#include <cmath>

#include "core/optim/adagrad.h"
#include "core/optim/combined_schedules.h"
#include "core/optim/cosine_schedules.h"
#include "core/optim/cyclic_lr.h"
#include "core/optim/decay_schedules.h"
#include "core/optim/lambda_schedules.h"
#include "core/optim/one_cycle_lr.h"
#include "core/optim/ramp_schedules.h"
#include "core/optim/reduce_lr_on_plateau.h"
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
  EXPECT_THAT(state,
              ElementsAre(testing::Pair("base_lr0", 1), testing::Pair("last_epoch", 2), testing::Pair("last_lr0", 1)));
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
  EXPECT_EQ(error_of([&] { schedule.load_state_dict({{"last_epoch", 1}}); }),
            where + "missing 'base_lr0'; missing 'last_lr0'");
  EXPECT_EQ(error_of([&] { schedule.load_state_dict({{"base_lr0", 1}, {"last_epoch", -1}, {"last_lr0", 1}}); }),
            where + "'last_epoch' must be a count, got -1.0");
  EXPECT_EQ(error_of([&] { schedule.load_state_dict({{"base_lr0", 1}, {"last_epoch", 0x1p54}, {"last_lr0", 1}}); }),
            where + "'last_epoch' must be a count, got 1.8014398509481984e+16");
  EXPECT_EQ(
      error_of([&] { schedule.load_state_dict({{"base_lr0", 1}, {"last_epoch", 1}, {"last_lr0", 1}, {"gamma", 1}}); }),
      where + "unexpected 'gamma'");
  EXPECT_EQ(schedule.last_epoch(), 0);
}

TEST(ReduceLROnPlateauTest, NeedsItsMetric) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  ReduceLROnPlateau schedule(sgd, {.patience = 0});
  EXPECT_EQ(error_of([&] { schedule.step(); }), "ReduceLROnPlateau: a step needs the metric that it watches");
  EXPECT_EQ(schedule.last_epoch(), 0);
  schedule.step(3);
  EXPECT_EQ(sgd.learning_rate(), 1);
  schedule.step(std::nan(""));
  EXPECT_DOUBLE_EQ(sgd.learning_rate(), 0.1);
}

// A plateau schedule that lowered the rate, and cools down.
struct Plateau {
  explicit Plateau(int64_t cooldown) : schedule(sgd, {.patience = 1, .cooldown = cooldown}) {}

  SGD sgd{{parameter("a", {1})}, {.lr = 1}};
  ReduceLROnPlateau schedule;
};

// torch: ReduceLROnPlateau(SGD([p], lr=1), patience=1, cooldown=3) stepped with a metric of 1 lowers the rate at steps
// 3, 8 and 13: three epochs that do not count, then two bad ones.
TEST(ReduceLROnPlateauTest, CountsNoEpochOfItsCooldown) {
  Plateau plateau(3);
  std::vector<int> lowered;
  for (int step = 1; step <= 15; ++step) {
    const double before = plateau.sgd.learning_rate();
    plateau.schedule.step(1);
    if (plateau.sgd.learning_rate() < before) lowered.push_back(step);
  }
  EXPECT_THAT(lowered, ElementsAre(3, 8, 13));
}

TEST(ReduceLROnPlateauTest, ResumesInEachEpochOfItsCooldown) {
  for (int stop = 1; stop <= 8; ++stop) {
    Plateau straight(3);
    Plateau first(3);
    for (int step = 1; step <= stop; ++step) {
      straight.schedule.step(1);
      first.schedule.step(1);
    }
    Plateau resumed(3);
    resumed.sgd.load_state_dict(first.sgd.state_dict());
    resumed.schedule.load_state_dict(first.schedule.state_dict());
    EXPECT_EQ(resumed.schedule.state_dict(), first.schedule.state_dict());
    for (int step = stop + 1; step <= 15; ++step) {
      straight.schedule.step(1);
      resumed.schedule.step(1);
      EXPECT_EQ(resumed.sgd.learning_rate(), straight.sgd.learning_rate()) << "stopped at " << stop << ", at " << step;
      EXPECT_EQ(resumed.schedule.state_dict(), straight.schedule.state_dict()) << "stopped at " << stop;
    }
  }
}

TEST(ReduceLROnPlateauTest, LeavesOutAChangeOfNoMoreThanEps) {
  const auto lowered = [](double eps) {
    SGD sgd({parameter("a", {1})}, {.lr = 1});
    ReduceLROnPlateau schedule(sgd, {.factor = 0.5, .patience = 0, .eps = eps});
    schedule.step(1);
    schedule.step(1);
    return sgd.learning_rate() < 1;
  };
  EXPECT_TRUE(lowered(0.25));
  EXPECT_FALSE(lowered(0.5));
  EXPECT_FALSE(lowered(0.75));
}

TEST(CosineAnnealingWarmRestartsTest, APeriodGrowsNoLongerThanItsStateCanSay) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  CosineAnnealingWarmRestarts schedule(sgd, {.T_0 = 1, .T_mult = 3});
  SchedulerState state = schedule.state_dict();
  state["T_i"] = 0x1p53;
  state["T_cur"] = 0x1p53 - 1;
  schedule.load_state_dict(state);
  schedule.step();
  state = schedule.state_dict();
  EXPECT_EQ(state.at("T_cur"), 0);
  EXPECT_EQ(state.at("T_i"), 0x1p53);
  EXPECT_EQ(sgd.learning_rate(), 1);
  schedule.load_state_dict(state);
}

TEST(OneCycleLRTest, EndsWithItsSteps) {
  SGD sgd({parameter("a", {1})}, {.lr = 1, .momentum = 0.9});
  OneCycleLR schedule(sgd, {.max_lr = {1}, .total_steps = 3});
  for (int i = 0; i < 3; ++i) schedule.step();
  const double rate = sgd.learning_rate();
  EXPECT_EQ(error_of([&] { schedule.step(); }), "Tried to step 4 times. The specified number of total steps is 3");
  EXPECT_EQ(schedule.last_epoch(), 3);
  EXPECT_EQ(sgd.learning_rate(), rate);
}

TEST(OneCycleLRTest, APhaseWithoutStepsIsOver) {
  SGD sgd({parameter("a", {1})}, {.lr = 1, .momentum = 0.9});
  const OneCycleLR schedule(sgd, {.max_lr = {1}, .total_steps = 2, .pct_start = 0.5});
  EXPECT_EQ(sgd.learning_rate(), 1);
}

TEST(LambdaLRTest, MultipliesTheInitialRate) {
  SGD sgd(std::vector<SGD::OptionGroup>{{{parameter("a", {1})}, {.lr = 1}}, {{parameter("b", {1})}, {.lr = 0.5}}});
  LambdaLR schedule(sgd, {[](int64_t epoch) { return 1.0 / static_cast<double>(epoch + 1); }});
  schedule.step();
  schedule.step();
  EXPECT_EQ(sgd.learning_rate(0), 1.0 / 3);
  EXPECT_EQ(sgd.learning_rate(1), 0.5 * (1.0 / 3));
  EXPECT_EQ(error_of([&] { LambdaLR(sgd, std::vector<RateFunction>(3)); }), "Expected 2 lr_lambdas, but got 3");
  EXPECT_EQ(error_of([&] { LambdaLR(sgd, std::vector<RateFunction>(1)); }), "lr_lambdas: one is none");
}

TEST(MultiplicativeLRTest, MultipliesThePresentRate) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  MultiplicativeLR schedule(sgd, {[](int64_t epoch) { return epoch == 1 ? 0.5 : 0.25; }});
  EXPECT_EQ(sgd.learning_rate(), 1);
  schedule.step();
  EXPECT_EQ(sgd.learning_rate(), 0.5);
  schedule.step();
  EXPECT_EQ(sgd.learning_rate(), 0.125);
}

TEST(SchedulerTest, AGroupAddedLaterKeepsItsRateWhereItHasNone) {
  SGD sgd({parameter("a", {1})}, {.lr = 1, .momentum = 0.9});
  CyclicLR schedule(sgd, {.base_lr = {0.1}, .max_lr = {1}, .step_size_up = 2});
  sgd.add_param_group({{parameter("b", {1})}, {.lr = 0.5}});
  schedule.step();
  EXPECT_EQ(sgd.learning_rate(1), 0.5);
  EXPECT_THAT(schedule.last_lr(), ElementsAre(testing::DoubleEq(0.55), 0.5));
  EXPECT_EQ(schedule.state_dict().at("last_lr1"), 0.5);
}

TEST(SchedulerTest, IsRelativeToTheRateOfTheFirstSchedule) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  sgd.set_learning_rate(2);
  LinearLR first(sgd, {.start_factor = 0.5});
  EXPECT_EQ(sgd.learning_rate(), 1);
  const LambdaLR second(sgd, {[](int64_t) { return 1.0; }});
  EXPECT_EQ(sgd.learning_rate(), 2);
}

// What a faulty spec of a schedule is told, on an optimizer with one group.
std::string fault_of(const SchedulerSpec& spec, Optimizer& optimizer) {
  std::vector<std::string> faults;
  const double rate = optimizer.learning_rate();
  EXPECT_EQ(make_scheduler(optimizer, spec, "scheduler", faults), nullptr);
  EXPECT_EQ(optimizer.learning_rate(), rate) << spec.type;
  return faults.size() == 1 ? faults[0] : testing::PrintToString(faults);
}

TEST(SchedulerDefTest, RefusesOptionsThatCannotBe) {
  SGD sgd({parameter("a", {1})}, {.momentum = 0.9});
  const auto fault = [&](const char* type, const AttributeMap& attributes) {
    return fault_of({type, attributes, {}}, sgd);
  };
  const double nan = std::nan("");
  EXPECT_EQ(fault("ExponentialLR", {{"gamma", nan}}), "scheduler: ExponentialLR: gamma must not be negative, got nan");
  EXPECT_EQ(fault("MultiStepLR", {{"milestones", Tuple{3, -1}}}),
            "scheduler: MultiStepLR: a milestone must be at least 0, got -1");
  EXPECT_EQ(fault("ConstantLR", {{"factor", 1.5}}),
            "scheduler: Constant multiplicative factor expected to be between 0 and 1.");
  EXPECT_EQ(fault("ConstantLR", {{"factor", 0}}),
            "scheduler: ConstantLR: factor must be above 0, or the rate cannot come back");
  EXPECT_EQ(fault("LinearLR", {{"start_factor", 0}}),
            "scheduler: Starting multiplicative factor expected to be greater than 0 and less or equal to 1.");
  EXPECT_EQ(fault("LinearLR", {{"end_factor", nan}}),
            "scheduler: Ending multiplicative factor expected to be between 0 and 1.");
  EXPECT_EQ(fault("PolynomialLR", {{"total_iters", -1}}),
            "scheduler: PolynomialLR: total_iters must be at least 0, got -1");
  EXPECT_EQ(fault("CosineAnnealingLR", {{"T_max", 0}}),
            "scheduler: CosineAnnealingLR: T_max must be at least 1, got 0");
  EXPECT_EQ(fault("CosineAnnealingWarmRestarts", {{"T_0", 0}}), "scheduler: Expected positive integer T_0, but got 0");
  EXPECT_EQ(fault("CosineAnnealingWarmRestarts", {{"T_0", 1}, {"T_mult", 0}}),
            "scheduler: Expected integer T_mult >= 1, but got 0");
  EXPECT_EQ(
      fault("CyclicLR", {{"base_lr", Tuple{0.1, 0.2}}, {"max_lr", 1}}),
      "scheduler: base_lr must have the same length as optimizer.param_groups. base_lr has 2 values, param_groups "
      "has 1.");
  EXPECT_EQ(fault("CyclicLR", {{"base_lr", 0.1}, {"max_lr", 1}, {"base_momentum", -1}}),
            "scheduler: Invalid momentum value: -1.0");
  EXPECT_EQ(fault("CyclicLR", {{"base_lr", 0.1}, {"max_lr", 1}, {"mode", "round"}}),
            "scheduler: CyclicLR: attribute 'mode': expected one of 'triangular', 'triangular2', 'exp_range', got "
            "'round'");
  EXPECT_EQ(fault("OneCycleLR", {{"max_lr", 1}}),
            "scheduler: You must define either total_steps OR (epochs AND steps_per_epoch)");
  EXPECT_EQ(fault("OneCycleLR", {{"max_lr", 1}, {"total_steps", 0}}),
            "scheduler: Expected positive integer total_steps, but got 0");
  EXPECT_EQ(fault("OneCycleLR", {{"max_lr", 1}, {"epochs", int64_t{1} << 40}, {"steps_per_epoch", int64_t{1} << 40}}),
            "scheduler: OneCycleLR: epochs * steps_per_epoch must be at most 2^53");
  EXPECT_EQ(fault("OneCycleLR", {{"max_lr", 1}, {"total_steps", 9}, {"pct_start", nan}}),
            "scheduler: Expected float between 0 and 1 pct_start, but got nan");
  EXPECT_EQ(fault("ReduceLROnPlateau", {{"factor", 1}}), "scheduler: Factor should be < 1.0.");
  EXPECT_EQ(fault("ReduceLROnPlateau", {{"min_lr", Tuple{0.1, 0.2}}}), "scheduler: expected 1 min_lrs, got 2");
}

TEST(SchedulerDefTest, CyclingMomentumNeedsOne) {
  Adagrad adagrad({parameter("a", {1})}, {});
  EXPECT_EQ(fault_of({"CyclicLR", {{"base_lr", 0.1}, {"max_lr", 1}}, {}}, adagrad),
            "scheduler: optimizer must support momentum or beta1 with `cycle_momentum` option enabled");
}

TEST(SchedulerDefTest, CombinedSchedulesNameTheFaultsOfTheirMembers) {
  SGD sgd({parameter("a", {1})}, {});
  const SchedulerSpec step{"StepLR", {{"step_size", 1}}, {}};
  std::vector<std::string> faults;
  EXPECT_EQ(make_scheduler(sgd, {"ChainedScheduler", {}, {step, {"StepLr", {}, {}}, {"StepLR", {}, {}}}}, "scheduler",
                           faults),
            nullptr);
  EXPECT_THAT(faults, ElementsAre("scheduler.schedulers[1]: unknown scheduler type 'StepLr'; did you mean 'StepLR'?",
                                  "scheduler.schedulers[2]: StepLR: missing attribute 'step_size'"));
  EXPECT_EQ(fault_of({"StepLR", {{"step_size", 1}}, {step}}, sgd), "scheduler: StepLR: takes no schedulers, got 1");
  EXPECT_EQ(fault_of({"ChainedScheduler", {}, {}}, sgd),
            "scheduler: ChainedScheduler expects at least one scheduler to be chained, but got no scheduler.");
  EXPECT_THAT(fault_of({"ChainedScheduler", {}, {{"ReduceLROnPlateau", {}, {}}}}, sgd),
              testing::HasSubstr("does not support `ReduceLROnPlateau`"));
  EXPECT_THAT(fault_of({"SequentialLR", {{"milestones", Tuple{3}}}, {step}}, sgd),
              testing::HasSubstr("but got number of schedulers 1 and the number of milestones to be equal to 1"));
  EXPECT_EQ(fault_of({"SequentialLR", {{"milestones", Tuple{3, 2}}}, {step, step, step}}, sgd),
            "scheduler: SequentialLR: milestones must not fall");
}

TEST(SchedulerDefTest, DeepNestingIsRefused) {
  SGD sgd({parameter("a", {1})}, {});
  SchedulerSpec spec{"StepLR", {{"step_size", 1}}, {}};
  for (int depth = 0; depth < 1000; ++depth) spec = {"ChainedScheduler", {}, {std::move(spec)}};
  EXPECT_THAT(fault_of(spec, sgd), testing::HasSubstr("schedulers are nested more than 16 deep"));
}

TEST(SchedulerDefTest, MakesAScheduleOrReportsFaults) {
  SGD sgd({parameter("a", {1})}, {.lr = 1});
  std::vector<std::string> faults;
  const auto schedule = make_scheduler(sgd, {"StepLR", {{"step_size", 1}, {"gamma", 0.25}}, {}}, "scheduler", faults);
  ASSERT_THAT(faults, testing::IsEmpty());
  schedule->step();
  EXPECT_EQ(sgd.learning_rate(), 0.25);
  EXPECT_EQ(make_scheduler(sgd, {"StepLR", {{"gama", 0.25}}, {}}, "scheduler", faults), nullptr);
  EXPECT_THAT(faults, ElementsAre("scheduler: StepLR: unknown attribute 'gama'; did you mean 'gamma'?",
                                  "scheduler: StepLR: missing attribute 'step_size'"));
  EXPECT_EQ(error_of([] { require_scheduler("StepLr"); }), "unknown scheduler type 'StepLr'; did you mean 'StepLR'?");
}

}  // namespace
}  // namespace tapewire
