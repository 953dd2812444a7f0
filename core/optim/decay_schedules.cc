#include "core/optim/decay_schedules.h"

#include <cmath>

#include "core/optim/schedule_checks.h"

namespace tapewire {

StepLR::StepLR(Optimizer& optimizer, const Options& options) : Scheduler(optimizer), options_(options) {
  check_count(kName, "step_size", options.step_size, 1);
  check_finite_factor(kName, "gamma", options.gamma);
  begin();
}

double StepLR::next_rate(size_t group) const {
  const double now = optimizer().learning_rate(group);
  return last_epoch() > 0 && last_epoch() % options_.step_size == 0 ? now * options_.gamma : now;
}

MultiStepLR::MultiStepLR(Optimizer& optimizer, const Options& options) : Scheduler(optimizer), options_(options) {
  check_finite_factor(kName, "gamma", options.gamma);
  for (const int64_t milestone : options.milestones) {
    check_count(kName, "a milestone", milestone, 0);
    ++times_[milestone];
  }
  begin();
}

double MultiStepLR::next_rate(size_t group) const {
  const double now = optimizer().learning_rate(group);
  const auto found = times_.find(last_epoch());
  return found == times_.end() ? now : now * std::pow(options_.gamma, static_cast<double>(found->second));
}

ExponentialLR::ExponentialLR(Optimizer& optimizer, const Options& options) : Scheduler(optimizer), options_(options) {
  check_finite_factor(kName, "gamma", options.gamma);
  begin();
}

double ExponentialLR::next_rate(size_t group) const {
  const double now = optimizer().learning_rate(group);
  return last_epoch() == 0 ? now : now * options_.gamma;
}

namespace {
const SchedulerFamily kFamily{scheduler_def<StepLR>(), scheduler_def<MultiStepLR>(), scheduler_def<ExponentialLR>()};
}  // namespace

}  // namespace tapewire
