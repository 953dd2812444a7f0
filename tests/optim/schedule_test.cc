#include "tests/optim/schedules.h"

#include <algorithm>
#include <cmath>

#include "core/optim/adam.h"
#include "core/optim/reduce_lr_on_plateau.h"
#include "core/optim/sgd.h"
#include "gtest/gtest.h"
#include "tests/optim/support.h"

namespace tapewire {
namespace {

// Two groups as in generate_schedules.py, with parameters that learn, and the schedule of a case.
struct Scheduled {
  explicit Scheduled(const ScheduleCase& c) {
    std::vector<std::string> faults;
    const AttributeMap defaults = c.optimizer == std::string("SGD") ? AttributeMap{{"momentum", 0.9}} : AttributeMap{};
    optimizer = require_optimizer(c.optimizer).make({{{a}, {{"lr", 0.1}}}, {{b}, {{"lr", 0.03}}}}, defaults, faults);
    schedule = make_scheduler(*optimizer, c.spec, "scheduler", faults);
    EXPECT_TRUE(faults.empty()) << faults[0];
  }

  void step(int at) {
    give_gradient(a, {std::sin(at)});
    give_gradient(b, {std::cos(at)});
    optimizer->step();
    schedule->step(((7 * at) % 11) / 16.0 + 64.0 / (at + 1));
  }
  std::vector<double> parameters() const { return {a.tensor.item<double>(), b.tensor.item<double>()}; }

  NamedTensor a = parameter("a", {1});
  NamedTensor b = parameter("b", {-2});
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Scheduler> schedule;
};

class ScheduleTest : public testing::TestWithParam<ScheduleCase> {};

TEST_P(ScheduleTest, GivesPyTorchsRates) {
  const ScheduleCase& c = GetParam();
  const Scheduled s(c);
  double sum = 0;
  size_t shown = 0;
  for (int step = 0; step <= kScheduleSteps.back(); ++step) {
    sum += s.optimizer->learning_rate(0);
    if (step == kScheduleSteps[shown]) {
      const std::array<double, 4>& want = c.rows[shown++];
      const std::array<double, 4> got{s.optimizer->learning_rate(0), s.optimizer->learning_rate(1), sum,
                                      *s.optimizer->momentum(0)};
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_NEAR(got[i], want[i], 1e-12 * std::abs(want[i])) << "step " << step << ", column " << i;
      }
    }
    if (step < kScheduleSteps.back()) s.schedule->step(((7 * step) % 11) / 16.0 + 64.0 / (step + 1));
  }
  EXPECT_EQ(shown, kScheduleSteps.size());
}

TEST_P(ScheduleTest, ResumesExactly) {
  const ScheduleCase& c = GetParam();
  for (const int stop : {1, 20, 47}) {
    Scheduled straight(c);
    auto stopped = std::make_unique<Scheduled>(c);
    for (int step = 0; step < 120; ++step) {
      if (step == stop) {
        auto next = std::make_unique<Scheduled>(c);
        next->optimizer->load_state_dict(stopped->optimizer->state_dict());
        next->schedule->load_state_dict(stopped->schedule->state_dict());
        next->a.tensor.mutable_data<double>()[0] = stopped->a.tensor.item<double>();
        next->b.tensor.mutable_data<double>()[0] = stopped->b.tensor.item<double>();
        stopped = std::move(next);
      }
      straight.step(step);
      stopped->step(step);
    }
    EXPECT_EQ(straight.parameters(), stopped->parameters()) << "stopped at " << stop;
    EXPECT_EQ(straight.schedule->state_dict(), stopped->schedule->state_dict()) << "stopped at " << stop;
    EXPECT_EQ(straight.optimizer->state_dict().numbers, stopped->optimizer->state_dict().numbers);
  }
}

TEST_P(ScheduleTest, RefusesABrokenStateAndKeepsItsOwn) {
  Scheduled s(GetParam());
  for (int step = 0; step < 5; ++step) s.step(step);
  const SchedulerState before = s.schedule->state_dict();
  for (const auto& [key, value] : before) {
    SchedulerState missing = before;
    missing.erase(key);
    EXPECT_EQ(error_of([&] { s.schedule->load_state_dict(missing); }),
              str_cat("Error(s) in loading state_dict for ", s.schedule->type(), ": missing '", key, "'"));
    SchedulerState broken = before;
    broken["last_epoch"] = 77;
    broken[key] = std::nan("");
    EXPECT_NE(error_of([&] { s.schedule->load_state_dict(broken); }).find(str_cat("'", key, "' must be a")),
              std::string::npos);
    EXPECT_EQ(s.schedule->state_dict(), before) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Schedules, ScheduleTest, testing::ValuesIn(schedule_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tapewire
