#include "core/optim/reduce_lr_on_plateau.h"

#include <algorithm>
#include <limits>

#include "core/optim/schedule_checks.h"

namespace tapewire {

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, const Options& options)
    : Scheduler(optimizer), options_(options) {
  if (!(options.factor < 1)) fail("Factor should be < 1.0.");
  check_finite_factor(kName, "factor", options.factor);
  check_count(kName, "patience", options.patience, 0);
  check_count(kName, "cooldown", options.cooldown, 0);
  check_finite(kName, "threshold", options.threshold);
  check_finite_factor(kName, "eps", options.eps);
  const size_t groups = optimizer.group_count();
  if (options.min_lr.size() != 1 && options.min_lr.size() != groups) {
    fail("expected ", groups, " min_lrs, got ", options.min_lr.size());
  }
  min_lr_ = per_group("min_lr", options.min_lr, groups);
  for (const double rate : min_lr_) check_finite_factor(kName, "min_lr", rate);
  begin();
}

void ReduceLROnPlateau::start() {
  constexpr double kWorst = std::numeric_limits<double>::infinity();
  best_ = options_.mode == PlateauMode::kMin ? kWorst : -kWorst;
  bad_epochs_ = 0;
  cooldown_left_ = 0;
}

void ReduceLROnPlateau::check_step(std::optional<double> metric) const {
  if (!metric) fail("ReduceLROnPlateau: a step needs the metric that it watches");
}

bool ReduceLROnPlateau::is_better(double metric) const {
  const bool relative = options_.threshold_mode == ThresholdMode::kRel;
  if (options_.mode == PlateauMode::kMin) {
    return metric < (relative ? best_ * (1 - options_.threshold) : best_ - options_.threshold);
  }
  return metric > (relative ? best_ * (options_.threshold + 1) : best_ + options_.threshold);
}

void ReduceLROnPlateau::advance(std::optional<double> metric) {
  if (is_better(*metric)) {
    best_ = *metric;
    bad_epochs_ = 0;
  } else {
    ++bad_epochs_;
  }
  if (cooldown_left_ > 0) {
    --cooldown_left_;
    bad_epochs_ = 0;
  }
  if (bad_epochs_ <= options_.patience) return;
  reduce();
  cooldown_left_ = options_.cooldown;
  bad_epochs_ = 0;
}

void ReduceLROnPlateau::reduce() {
  for (size_t g = 0; g < std::min(min_lr_.size(), optimizer().group_count()); ++g) {
    const double now = optimizer().learning_rate(g);
    const double lower = std::max(now * options_.factor, min_lr_[g]);
    if (now - lower > options_.eps) optimizer().set_schedule(g, {lower, {}});
  }
}

void ReduceLROnPlateau::save(SchedulerStateWriter& state) const {
  state.number("best", best_);
  state.count("num_bad_epochs", bad_epochs_);
  state.count("cooldown_counter", cooldown_left_);
}

void ReduceLROnPlateau::load(SchedulerStateReader& state) {
  state.number("best", best_);
  state.count("num_bad_epochs", bad_epochs_);
  state.count("cooldown_counter", cooldown_left_);
}

namespace {
const SchedulerFamily kFamily{scheduler_def<ReduceLROnPlateau>()};
}  // namespace

}  // namespace tapewire
