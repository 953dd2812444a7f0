#include "core/optim/combined_schedules.h"

#include <algorithm>

#include "core/optim/reduce_lr_on_plateau.h"
#include "core/optim/schedule_checks.h"

namespace tapewire {
namespace {

void check_members(std::string_view type, const Optimizer& optimizer, const Schedulers& schedulers) {
  if (schedulers.empty()) fail(type, " expects at least one scheduler to be chained, but got no scheduler.");
  for (size_t i = 0; i < schedulers.size(); ++i) {
    if (dynamic_cast<const ReduceLROnPlateau*>(schedulers[i].get()) != nullptr) {
      fail(type,
           " does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be specified when "
           "calling `step`, but got one at index ",
           i, " in the given schedulers sequence.");
    }
    if (&schedulers[i]->optimizer() != &optimizer) {
      fail(type, " expects all schedulers to belong to the same optimizer, but got scheduler ", schedulers[i]->type(),
           " at index ", i, " of another.");
    }
  }
}

}  // namespace

SequentialLR::SequentialLR(Optimizer& optimizer, Schedulers schedulers, const Options& options)
    : Scheduler(optimizer), options_(options), schedulers_(std::move(schedulers)) {
  check_members(kName, optimizer, schedulers_);
  if (options.milestones.size() + 1 != schedulers_.size()) {
    fail(
        "Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone "
        "points, but got number of schedulers ",
        schedulers_.size(), " and the number of milestones to be equal to ", options.milestones.size());
  }
  for (const int64_t milestone : options.milestones) check_count(kName, "a milestone", milestone, 1);
  if (!std::ranges::is_sorted(options.milestones)) fail("SequentialLR: milestones must not fall");
  begin();
}

size_t SequentialLR::index_at(int64_t epoch) const {
  return static_cast<size_t>(std::ranges::upper_bound(options_.milestones, epoch) - options_.milestones.begin());
}

bool SequentialLR::begins_at(size_t index, int64_t epoch) const {
  return index > 0 && options_.milestones[index - 1] == epoch;
}

void SequentialLR::start() {
  for (size_t g = 0; g < optimizer().group_count(); ++g) {
    optimizer().set_schedule(g, {optimizer().initial_learning_rate(g), {}});
  }
  schedulers_.front()->begin();
}

void SequentialLR::check_step(std::optional<double> metric) const {
  const size_t index = index_at(last_epoch() + 1);
  if (!begins_at(index, last_epoch() + 1)) schedulers_[index]->check_step(metric);
}

void SequentialLR::advance(std::optional<double> metric) {
  const size_t index = index_at(last_epoch());
  if (begins_at(index, last_epoch())) {
    schedulers_[index]->restart();
  } else {
    schedulers_[index]->step(metric);
  }
}

void SequentialLR::save(SchedulerStateWriter& state) const {
  for (size_t i = 0; i < schedulers_.size(); ++i) save_member(*schedulers_[i], i, state);
}

void SequentialLR::load(SchedulerStateReader& state) {
  for (size_t i = 0; i < schedulers_.size(); ++i) load_member(*schedulers_[i], i, state);
}

ChainedScheduler::ChainedScheduler(Optimizer& optimizer, Schedulers schedulers, const Options& /*options*/)
    : Scheduler(optimizer), schedulers_(std::move(schedulers)) {
  check_members(kName, optimizer, schedulers_);  // they began when they were made
}

void ChainedScheduler::start() {
  for (const auto& scheduler : schedulers_) scheduler->begin();
}

void ChainedScheduler::check_step(std::optional<double> metric) const {
  for (const auto& scheduler : schedulers_) scheduler->check_step(metric);
}

void ChainedScheduler::advance(std::optional<double> metric) {
  for (const auto& scheduler : schedulers_) scheduler->step(metric);
}

void ChainedScheduler::save(SchedulerStateWriter& state) const {
  for (size_t i = 0; i < schedulers_.size(); ++i) save_member(*schedulers_[i], i, state);
}

void ChainedScheduler::load(SchedulerStateReader& state) {
  for (size_t i = 0; i < schedulers_.size(); ++i) load_member(*schedulers_[i], i, state);
}

namespace {
const SchedulerFamily kFamily{scheduler_def<SequentialLR>(), scheduler_def<ChainedScheduler>()};
}  // namespace

}  // namespace tapewire
