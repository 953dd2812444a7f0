#include "core/optim/scheduler.h"

#include <utility>

#include "core/base/error.h"

namespace tapewire {
namespace {

std::string base_rate_key(size_t group) { return str_cat("base_lr", group); }
std::string last_rate_key(size_t group) { return str_cat("last_lr", group); }

}  // namespace

Scheduler::Scheduler(Optimizer& optimizer) : optimizer_(optimizer) {
  optimizer.begin_schedules();
  for (size_t g = 0; g < optimizer.group_count(); ++g) base_lr_.push_back(optimizer.initial_learning_rate(g));
  note_rates();
}

double Scheduler::base_rate(size_t group) const {
  return group < base_lr_.size() ? base_lr_[group] : optimizer_.initial_learning_rate(group);
}

void Scheduler::note_rates() {
  last_lr_.clear();
  for (size_t g = 0; g < optimizer_.group_count(); ++g) last_lr_.push_back(optimizer_.learning_rate(g));
}

void Scheduler::begin() {
  last_epoch_ = 0;
  start();
  note_rates();
}

void Scheduler::restart() {
  for (size_t g = 0; g < optimizer_.group_count(); ++g) optimizer_.set_schedule(g, {base_rate(g), {}});
  begin();
}

void Scheduler::step(std::optional<double> metric) {
  check_step(metric);
  ++last_epoch_;
  advance(metric);
  note_rates();
}

void Scheduler::advance(std::optional<double>) {
  for (size_t g = 0; g < optimizer_.group_count(); ++g) optimizer_.set_schedule(g, {next_rate(g), next_momentum(g)});
}

void Scheduler::save_all(SchedulerStateWriter& state) const {
  state.count("last_epoch", last_epoch_);
  for (size_t g = 0; g < optimizer_.group_count(); ++g) {
    state.number(base_rate_key(g), base_rate(g));
    state.number(last_rate_key(g), g < last_lr_.size() ? last_lr_[g] : optimizer_.learning_rate(g));
  }
  save(state);
}

void Scheduler::load_all(SchedulerStateReader& state) {
  state.count("last_epoch", last_epoch_);
  base_lr_.resize(optimizer_.group_count());
  last_lr_.resize(optimizer_.group_count());
  for (size_t g = 0; g < optimizer_.group_count(); ++g) {
    state.number(base_rate_key(g), base_lr_[g]);
    state.number(last_rate_key(g), last_lr_[g]);
  }
  load(state);
}

void Scheduler::save_member(const Scheduler& member, size_t index, SchedulerStateWriter& state) {
  state.within(str_cat("schedulers.", index), [&] { member.save_all(state); });
}

void Scheduler::load_member(Scheduler& member, size_t index, SchedulerStateReader& state) {
  state.within(str_cat("schedulers.", index), [&] { member.load_all(state); });
}

SchedulerState Scheduler::state_dict() const {
  SchedulerStateWriter out;
  save_all(out);
  return out.take();
}

void Scheduler::load_state_dict(const SchedulerState& state) {
  const SchedulerState before = state_dict();
  SchedulerStateReader reader(state);
  load_all(reader);
  const std::string faults = reader.faults();
  if (faults.empty()) return;
  SchedulerStateReader undo(before);
  load_all(undo);
  fail("Error(s) in loading state_dict for ", type(), ": ", faults);
}

}  // namespace tapewire
