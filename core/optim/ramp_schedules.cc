#include "core/optim/ramp_schedules.h"

#include <cmath>

#include "core/optim/schedule_checks.h"

namespace tapewire {

ConstantLR::ConstantLR(Optimizer& optimizer, const Options& options) : Scheduler(optimizer), options_(options) {
  if (!(options.factor >= 0 && options.factor <= 1)) {
    fail("Constant multiplicative factor expected to be between 0 and 1.");
  }
  if (options.factor == 0) fail("ConstantLR: factor must be above 0, or the rate cannot come back");
  check_count(kName, "total_iters", options.total_iters, 0);
  begin();
}

double ConstantLR::next_rate(size_t group) const {
  const double now = optimizer().learning_rate(group);
  if (last_epoch() == 0) return now * options_.factor;
  return last_epoch() == options_.total_iters ? now * (1 / options_.factor) : now;
}

LinearLR::LinearLR(Optimizer& optimizer, const Options& options) : Scheduler(optimizer), options_(options) {
  if (!(options.start_factor > 0 && options.start_factor <= 1)) {
    fail("Starting multiplicative factor expected to be greater than 0 and less or equal to 1.");
  }
  if (!(options.end_factor >= 0 && options.end_factor <= 1)) {
    fail("Ending multiplicative factor expected to be between 0 and 1.");
  }
  check_count(kName, "total_iters", options.total_iters, 0);
  begin();
}

double LinearLR::next_rate(size_t group) const {
  const double now = optimizer().learning_rate(group);
  if (last_epoch() == 0) return now * options_.start_factor;
  if (last_epoch() > options_.total_iters) return now;
  const double rise = options_.end_factor - options_.start_factor;
  const double total = static_cast<double>(options_.total_iters);
  const double before = static_cast<double>(last_epoch() - 1);
  return now * (1 + rise / (total * options_.start_factor + before * rise));
}

PolynomialLR::PolynomialLR(Optimizer& optimizer, const Options& options) : Scheduler(optimizer), options_(options) {
  check_count(kName, "total_iters", options.total_iters, 0);
  check_finite_factor(kName, "power", options.power);
  begin();
}

double PolynomialLR::next_rate(size_t group) const {
  const double now = optimizer().learning_rate(group);
  if (last_epoch() == 0 || last_epoch() > options_.total_iters) return now;
  const double total = static_cast<double>(options_.total_iters);
  const double epoch = static_cast<double>(last_epoch());
  return now * std::pow((1 - epoch / total) / (1 - (epoch - 1) / total), options_.power);
}

namespace {
const SchedulerFamily kFamily{scheduler_def<ConstantLR>(), scheduler_def<LinearLR>(), scheduler_def<PolynomialLR>()};
}  // namespace

}  // namespace tapewire
