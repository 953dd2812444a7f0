#include <utility>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/optim/scheduler.h"

namespace tapewire {
namespace {

// More than anyone means; the path of a fault still can be read.
constexpr int kMostDepth = 16;

std::map<std::string_view, SchedulerDef>& table() {
  static std::map<std::string_view, SchedulerDef> schedulers;
  return schedulers;
}

std::unique_ptr<Scheduler> make(Optimizer& optimizer, const SchedulerSpec& spec, const std::string& path, int depth,
                                std::vector<std::string>& faults) {
  if (depth > kMostDepth) fail("schedulers are nested more than ", kMostDepth, " deep");
  const SchedulerDef& def = require_scheduler(spec.type);
  if (!def.combines && !spec.schedulers.empty()) fail(def.name, ": takes no schedulers, got ", spec.schedulers.size());
  const size_t before = faults.size();
  Schedulers members;
  for (size_t i = 0; i < spec.schedulers.size(); ++i) {
    const std::string at = str_cat(path, ".schedulers[", i, "]");
    try {
      members.push_back(make(optimizer, spec.schedulers[i], at, depth + 1, faults));
    } catch (const Error& error) {
      if (error.code() != absl::StatusCode::kInvalidArgument) throw;
      faults.push_back(str_cat(at, ": ", error.message()));
    }
  }
  if (faults.size() > before) return nullptr;
  std::vector<std::string> own;
  std::unique_ptr<Scheduler> made = def.make(optimizer, std::move(members), spec.attributes, own);
  for (const std::string& fault : own) faults.push_back(str_cat(path, ": ", def.name, ": ", fault));
  return made;
}

}  // namespace

std::unique_ptr<Scheduler> make_scheduler(Optimizer& optimizer, const SchedulerSpec& spec, const std::string& path,
                                          std::vector<std::string>& faults) {
  try {
    return make(optimizer, spec, path, 1, faults);
  } catch (const Error& error) {
    if (error.code() != absl::StatusCode::kInvalidArgument) throw;
    faults.push_back(str_cat(path, ": ", error.message()));
    return nullptr;
  }
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
