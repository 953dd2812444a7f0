// Schedules of a definition, and how calls move them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/model/model_fixture.h"

namespace tapewire {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;

class ScheduleTest : public ModelTest {
 protected:
  std::shared_ptr<LiveModel> scheduled(const std::string& scheduler) {
    return create(std::string(kSimpleNet) + "scheduler {" + scheduler + "}");
  }
  absl::StatusOr<StepResult> train(const std::shared_ptr<LiveModel>& model, std::optional<double> metric = {},
                                   bool end_of_epoch = false) {
    return in_turn(model, [=](ModelState& m) {
      TrainStepArgs args = batch();
      args.step.metric = metric;
      args.step.end_of_epoch = end_of_epoch;
      return m.train_step(args);
    });
  }
  double rate(const std::shared_ptr<LiveModel>& model) {
    return in_turn(model, [](ModelState& m) { return m.parts().optimizer->learning_rate(); }).value();
  }
};

TEST_F(ScheduleTest, PlateauGoesByTheMetricOfEachStep) {
  const auto model = scheduled(R"(type: "ReduceLROnPlateau" attributes { key: "patience" value { int_value: 0 } })");
  EXPECT_TRUE(train(model, 1.0).ok());
  EXPECT_EQ(rate(model), 0.1);
  EXPECT_TRUE(train(model, 1.0).ok());
  EXPECT_THAT(rate(model), DoubleEq(0.01));
}

TEST_F(ScheduleTest, AMissingMetricChangesNothing) {
  const auto model = scheduled(R"(type: "ReduceLROnPlateau")");
  const absl::Status status = train(model).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("ReduceLROnPlateau: a step needs the metric that it watches"));
  EXPECT_EQ(model->info().step, 0);
  EXPECT_EQ(model->info().parameter_version, 0);
}

TEST_F(ScheduleTest, ByEpochTheMetricIsNeededAtItsEndAlone) {
  const auto model = scheduled(R"(type: "ReduceLROnPlateau" by_epoch: true)");
  EXPECT_TRUE(train(model).ok());
  EXPECT_EQ(train(model, {}, true).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(train(model, 1.0, true).ok());
  EXPECT_EQ(model->info().step, 2);
}

TEST_F(ScheduleTest, AStepBeyondTheCycleIsRefused) {
  const auto model = scheduled(R"(
    type: "OneCycleLR"
    attributes { key: "max_lr" value { double_value: 0.1 } }
    attributes { key: "total_steps" value { int_value: 1 } }
    attributes { key: "cycle_momentum" value { bool_value: false } })");
  EXPECT_TRUE(train(model).ok());
  EXPECT_EQ(train(model).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(model->info().step, 1);
}

TEST_F(ScheduleTest, SchedulesCombine) {
  const auto model = scheduled(R"(
    type: "SequentialLR"
    attributes { key: "milestones" value { ints { values: 2 } } }
    schedulers { type: "ConstantLR" attributes { key: "factor" value { double_value: 0.5 } } }
    schedulers { type: "ExponentialLR" attributes { key: "gamma" value { double_value: 0.1 } } })");
  std::vector<double> rates;
  for (int step = 0; step < 4; ++step) rates.push_back(train(model).value().learning_rate);
  EXPECT_THAT(rates, ElementsAre(0.05, 0.05, 0.1, DoubleEq(0.01)));
}

TEST_F(ScheduleTest, FaultsNameTheirPlace) {
  const auto fault = [&](const std::string& scheduler) {
    const std::string text = std::string(kSimpleNet) + "scheduler {" + scheduler + "}";
    return std::string(create_args({.name = "net", .spec = spec_of(text)}).status().message());
  };
  EXPECT_THAT(fault(R"(type: "ChainedScheduler" schedulers { type: "StepLR" })"),
              HasSubstr("scheduler.schedulers[0]: StepLR: missing attribute 'step_size'"));
  EXPECT_THAT(fault(R"(type: "ChainedScheduler" schedulers { type: "PolynomialLR" by_epoch: true })"),
              HasSubstr("scheduler.schedulers[0].by_epoch: belongs to the outermost schedule"));
  EXPECT_THAT(fault(R"(type: "PolynomialLR" attributes { key: "power" value { double_value: -1 } })"),
              HasSubstr("scheduler: PolynomialLR: power must not be negative, got -1.0"));
}

TEST_F(ScheduleTest, AccumulatingTakesNoMetric) {
  const auto model = scheduled(R"(type: "ReduceLROnPlateau")");
  const auto status = in_turn(model, [](ModelState& m) {
                        TrainStepArgs args = batch();
                        args.accumulate_only = true;
                        args.step.metric = 1;
                        return m.train_step(args);
                      }).status();
  EXPECT_THAT(status.message(), HasSubstr("accumulate_only: makes no step"));
}

}  // namespace
}  // namespace tapewire
