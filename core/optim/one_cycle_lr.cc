#include "core/optim/one_cycle_lr.h"

#include <cmath>
#include <numbers>

#include "core/optim/schedule_checks.h"

namespace tapewire {
namespace {

void check_positive(const char* name, int64_t value) {
  if (value <= 0) fail("Expected positive integer ", name, ", but got ", value);
  check_count(OneCycleLR::kName, name, value, 1);
}

int64_t total_of(const OneCycleLROptions& o) {
  if (o.total_steps) {
    check_positive("total_steps", *o.total_steps);
    return *o.total_steps;
  }
  if (!o.epochs || !o.steps_per_epoch) {
    fail("You must define either total_steps OR (epochs AND steps_per_epoch)");
  }
  check_positive("epochs", *o.epochs);
  check_positive("steps_per_epoch", *o.steps_per_epoch);
  if (*o.epochs > (int64_t{1} << 53) / *o.steps_per_epoch) {
    fail("OneCycleLR: epochs * steps_per_epoch must be at most 2^53");
  }
  return *o.epochs * *o.steps_per_epoch;
}

void check_divisor(const char* name, double value) {
  if (!(value > 0)) fail("OneCycleLR: ", name, " must be positive, got ", Value(value).repr());
  check_finite(OneCycleLR::kName, name, value);
}

// Checks all options, and only then sets the rates that the schedule begins with.
Optimizer& prepared(Optimizer& optimizer, const OneCycleLROptions& o) {
  total_of(o);
  if (!(o.pct_start >= 0 && o.pct_start <= 1)) {
    fail("Expected float between 0 and 1 pct_start, but got ", Value(o.pct_start).repr());
  }
  check_divisor("div_factor", o.div_factor);
  check_divisor("final_div_factor", o.final_div_factor);
  const std::vector<double> most = per_group("max_lr", o.max_lr, optimizer.group_count());
  for (const double rate : most) check_finite_factor(OneCycleLR::kName, "max_lr", rate);
  if (o.cycle_momentum) check_cycled_momentum(optimizer, o.base_momentum, o.max_momentum);
  optimizer.begin_schedules();
  for (size_t g = 0; g < most.size(); ++g) optimizer.set_initial_learning_rate(g, most[g] / o.div_factor);
  return optimizer;
}

}  // namespace

OneCycleLR::OneCycleLR(Optimizer& optimizer, const Options& options)
    : Scheduler(prepared(optimizer, options)), options_(options), total_(total_of(options)) {
  const size_t groups = optimizer.group_count();
  max_lr_ = per_group("max_lr", options.max_lr, groups);
  if (options.cycle_momentum) {
    base_momentum_ = per_group("base_momentum", options.base_momentum, groups);
    max_momentum_ = per_group("max_momentum", options.max_momentum, groups);
  }
  const double total = static_cast<double>(total_);
  phases_.push_back({options.pct_start * total - 1, kInitial, kMax});
  if (options.three_phase) {
    phases_.push_back({2 * options.pct_start * total - 2, kMax, kInitial});
    phases_.push_back({total - 1, kInitial, kMin});
  } else {
    phases_.push_back({total - 1, kMax, kMin});
  }
  begin();
}

void OneCycleLR::check_step(std::optional<double>) const {
  if (last_epoch() < total_) return;
  fail_precondition("Tried to step ", last_epoch() + 1, " times. The specified number of total steps is ", total_);
}

double OneCycleLR::value(const std::array<double, 3>& levels) const {
  const double step = static_cast<double>(last_epoch());
  double start = 0;
  size_t i = 0;
  while (i + 1 < phases_.size() && step > phases_[i].end) start = phases_[i++].end;
  const Phase& phase = phases_[i];
  // A phase without steps, at which PyTorch divides by zero, is over when it begins.
  const double part = phase.end == start ? 1 : (step - start) / (phase.end - start);
  const double from = levels[phase.from];
  const double to = levels[phase.to];
  if (options_.anneal_strategy == AnnealStrategy::kLinear) return (to - from) * part + from;
  return to + (from - to) / 2.0 * (std::cos(std::numbers::pi * part) + 1);
}

double OneCycleLR::next_rate(size_t group) const {
  if (group >= max_lr_.size()) return Scheduler::next_rate(group);
  const double first = max_lr_[group] / options_.div_factor;
  return value({first, max_lr_[group], first / options_.final_div_factor});
}

std::optional<double> OneCycleLR::next_momentum(size_t group) const {
  if (group >= max_momentum_.size()) return std::nullopt;
  return value({max_momentum_[group], base_momentum_[group], max_momentum_[group]});
}

namespace {
const SchedulerFamily kFamily{scheduler_def<OneCycleLR>()};
}  // namespace

}  // namespace tapewire
