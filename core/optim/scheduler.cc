#include "core/optim/scheduler.h"

#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {
namespace {

constexpr std::string_view kLastEpoch = "last_epoch";

std::string last_rate_key(size_t group) { return str_cat("last_lr", group); }

std::map<std::string_view, SchedulerDef>& table() {
  static std::map<std::string_view, SchedulerDef> schedulers;
  return schedulers;
}

const SchedulerFamily kFamily{scheduler_def<StepLR>()};

}  // namespace

Scheduler::Scheduler(Optimizer& optimizer) : optimizer_(optimizer) { note_rates(); }

void Scheduler::note_rates() {
  last_lr_.clear();
  for (size_t g = 0; g < optimizer_.group_count(); ++g) last_lr_.push_back(optimizer_.learning_rate(g));
}

void Scheduler::step(std::optional<double> metric) {
  ++last_epoch_;
  advance(metric);
  note_rates();
}

void Scheduler::advance(std::optional<double>) {
  for (size_t g = 0; g < optimizer_.group_count(); ++g) optimizer_.set_learning_rate(g, next_rate(g));
}

SchedulerState Scheduler::state_dict() const {
  SchedulerState out;
  out[std::string(kLastEpoch)] = static_cast<double>(last_epoch_);
  for (size_t g = 0; g < last_lr_.size(); ++g) out[last_rate_key(g)] = last_lr_[g];
  return out;
}

void Scheduler::load_state_dict(const SchedulerState& state) {
  const std::string where = str_cat("Error(s) in loading state_dict for ", type(), ": ");
  const auto number = [&](const std::string& key) {
    const auto found = state.find(key);
    if (found == state.end()) fail(where, "missing ", quoted(key));
    return found->second;
  };
  const double epoch = number(std::string(kLastEpoch));
  if (!(epoch >= 0 && epoch <= 0x1p53 && epoch == std::floor(epoch))) {
    fail(where, quoted(kLastEpoch), " must be a count, got ", Value(epoch).repr());
  }
  std::vector<double> rates;
  for (size_t g = 0; g < last_lr_.size(); ++g) rates.push_back(number(last_rate_key(g)));
  if (state.size() != 1 + rates.size()) {
    for (const auto& [key, value] : state) {
      bool known = key == kLastEpoch;
      for (size_t g = 0; g < rates.size(); ++g) known = known || key == last_rate_key(g);
      if (!known) fail(where, "unexpected ", quoted(key));
    }
  }
  last_epoch_ = static_cast<int64_t>(epoch);
  last_lr_ = std::move(rates);
}

StepLR::StepLR(Optimizer& optimizer, const Options& options) : Scheduler(optimizer), options_(options) {
  if (options.step_size < 1) fail("StepLR: step_size must be at least 1, got ", options.step_size);
  if (!(options.gamma >= 0)) fail("StepLR: gamma must not be negative, got ", Value(options.gamma).repr());
}

double StepLR::next_rate(size_t group) const {
  const double now = optimizer().learning_rate(group);
  return last_epoch() % options_.step_size == 0 ? now * options_.gamma : now;
}

void SchedulerFamily::add(const SchedulerDef& def) {
  if (!table().emplace(def.name, def).second) fail_internal("scheduler '", def.name, "' is registered twice");
}

const SchedulerDef* find_scheduler(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : &found->second;
}

const SchedulerDef& require_scheduler(std::string_view name) {
  if (const SchedulerDef* def = find_scheduler(name)) return *def;
  std::vector<std::string_view> names;
  for (const auto& [known, def] : table()) names.push_back(known);
  fail("unknown scheduler type ", quoted(name), did_you_mean(name, names));
}

std::vector<const SchedulerDef*> all_schedulers() {
  std::vector<const SchedulerDef*> out;
  for (const auto& [name, def] : table()) out.push_back(&def);
  return out;
}

}  // namespace tapewire
