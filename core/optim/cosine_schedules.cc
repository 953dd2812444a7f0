#include "core/optim/cosine_schedules.h"

#include <cmath>
#include <numbers>

#include "core/optim/schedule_checks.h"

namespace tapewire {
namespace {

constexpr double kPi = std::numbers::pi;

}  // namespace

CosineAnnealingLR::CosineAnnealingLR(Optimizer& optimizer, const Options& options)
    : Scheduler(optimizer), options_(options) {
  check_count(kName, "T_max", options.T_max, 1);
  check_finite_factor(kName, "eta_min", options.eta_min);
  begin();
}

double CosineAnnealingLR::next_rate(size_t group) const {
  const double now = optimizer().learning_rate(group);
  if (last_epoch() == 0) return now;
  const double half = static_cast<double>(options_.T_max);
  const double low = options_.eta_min;
  // From the lowest point the recursion has no way up: the ratio below would be 0 / 0.
  if ((last_epoch() - 1 - options_.T_max) % (2 * options_.T_max) == 0) {
    return now + (base_rate(group) - low) * (1 - std::cos(kPi / half)) / 2;
  }
  const double epoch = static_cast<double>(last_epoch());
  return (1 + std::cos(kPi * epoch / half)) / (1 + std::cos(kPi * (epoch - 1) / half)) * (now - low) + low;
}

CosineAnnealingWarmRestarts::CosineAnnealingWarmRestarts(Optimizer& optimizer, const Options& options)
    : Scheduler(optimizer), options_(options) {
  if (options.T_0 <= 0) fail("Expected positive integer T_0, but got ", options.T_0);
  if (options.T_mult < 1) fail("Expected integer T_mult >= 1, but got ", options.T_mult);
  check_count(kName, "T_0", options.T_0, 1);
  check_count(kName, "T_mult", options.T_mult, 1);
  check_finite_factor(kName, "eta_min", options.eta_min);
  begin();
}

void CosineAnnealingWarmRestarts::start() {
  since_ = 0;
  length_ = options_.T_0;
  Scheduler::advance({});
}

void CosineAnnealingWarmRestarts::advance(std::optional<double> metric) {
  if (++since_ >= length_) {
    since_ -= length_;
    constexpr int64_t kLongest = int64_t{1} << 53;
    length_ = length_ > kLongest / options_.T_mult ? kLongest : length_ * options_.T_mult;
  }
  Scheduler::advance(metric);
}

double CosineAnnealingWarmRestarts::next_rate(size_t group) const {
  const double low = options_.eta_min;
  const double angle = kPi * static_cast<double>(since_) / static_cast<double>(length_);
  return low + (base_rate(group) - low) * (1 + std::cos(angle)) / 2;
}

void CosineAnnealingWarmRestarts::save(SchedulerStateWriter& state) const {
  state.count("T_cur", since_);
  state.count("T_i", length_);
}

void CosineAnnealingWarmRestarts::load(SchedulerStateReader& state) {
  state.count("T_cur", since_);
  state.count("T_i", length_, 1);
}

namespace {
const SchedulerFamily kFamily{scheduler_def<CosineAnnealingLR>(), scheduler_def<CosineAnnealingWarmRestarts>()};
}  // namespace

}  // namespace tapewire
