#include "core/optim/cyclic_lr.h"

#include <cmath>

#include "core/optim/schedule_checks.h"

namespace tapewire {
namespace {

// Checks all options, and only then sets the rates that the schedule begins with.
Optimizer& prepared(Optimizer& optimizer, const CyclicLROptions& o) {
  check_count(CyclicLR::kName, "step_size_up", o.step_size_up, 1);
  if (o.step_size_down) check_count(CyclicLR::kName, "step_size_down", *o.step_size_down, 1);
  check_finite_factor(CyclicLR::kName, "gamma", o.gamma);
  const size_t groups = optimizer.group_count();
  const std::vector<double> base = per_group("base_lr", o.base_lr, groups);
  for (const double rate : base) check_finite_factor(CyclicLR::kName, "base_lr", rate);
  for (const double rate : per_group("max_lr", o.max_lr, groups)) {
    check_finite_factor(CyclicLR::kName, "max_lr", rate);
  }
  if (o.cycle_momentum) check_cycled_momentum(optimizer, o.base_momentum, o.max_momentum);
  for (size_t g = 0; g < groups; ++g) optimizer.set_learning_rate(g, base[g]);
  return optimizer;
}

}  // namespace

CyclicLR::CyclicLR(Optimizer& optimizer, const Options& options)
    : Scheduler(prepared(optimizer, options)),
      options_(options),
      max_lr_(per_group("max_lr", options.max_lr, optimizer.group_count())) {
  const size_t groups = optimizer.group_count();
  options_.base_lr = per_group("base_lr", options.base_lr, groups);
  if (options.cycle_momentum) {
    base_momentum_ = per_group("base_momentum", options.base_momentum, groups);
    max_momentum_ = per_group("max_momentum", options.max_momentum, groups);
  }
  begin();
}

double CyclicLR::height() const {
  const double up = static_cast<double>(options_.step_size_up);
  const double total = up + static_cast<double>(options_.step_size_down.value_or(options_.step_size_up));
  const double step = static_cast<double>(last_epoch());
  const double cycle = std::floor(1 + step / total);
  const double at = 1.0 + step / total - cycle;
  const double top = up / total;
  const double up_the_side = at <= top ? at / top : (at - 1) / (top - 1);
  switch (options_.mode) {
    case CyclicMode::kTriangular:
      return up_the_side;
    case CyclicMode::kTriangular2:
      return up_the_side * (1 / std::pow(2.0, cycle - 1));
    case CyclicMode::kExpRange:
      return up_the_side * std::pow(options_.gamma, step);
  }
  fail_internal("CyclicLR: unknown mode");
}

double CyclicLR::next_rate(size_t group) const {
  if (group >= max_lr_.size()) return Scheduler::next_rate(group);
  const double base = options_.base_lr[group];
  return base + (max_lr_[group] - base) * height();
}

std::optional<double> CyclicLR::next_momentum(size_t group) const {
  if (group >= max_momentum_.size()) return std::nullopt;
  const double most = max_momentum_[group];
  return most - (most - base_momentum_[group]) * height();
}

namespace {
const SchedulerFamily kFamily{scheduler_def<CyclicLR>()};
}  // namespace

}  // namespace tapewire
