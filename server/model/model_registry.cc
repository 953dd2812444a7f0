#include "server/model/model_registry.h"

#include <algorithm>
#include <optional>

#include "core/base/cancel.h"
#include "core/base/limit_error.h"
#include "core/base/suggest.h"

namespace tapewire {

bool is_model_name(std::string_view name) {
  constexpr size_t kLongest = 63;
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kLongest && plain(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return plain(c) || c == '_' || c == '.' || c == '-'; });
}

ModelRegistry::ModelRegistry(Options options, ComputePool& pool, Metrics& metrics)
    : options_(options), pool_(pool), metrics_(metrics), sweeper_([this] { sweep_loop(); }) {}

ModelRegistry::~ModelRegistry() {
  std::vector<std::string> names;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    for (const auto& [name, model] : models_) names.push_back(name);
  }
  stopping_changed_.notify_all();
  sweeper_.join();
  for (const std::string& name : names) {
    try {
      remove(name);
    } catch (const Error&) {
      // Removed by a call that was still running.
    }
  }
}

std::shared_ptr<LiveModel> ModelRegistry::create(const std::string& name, const v1::ModelSpec& spec, uint64_t seed,
                                                 bool validate_only, const ChangeId& id) {
  if (!is_model_name(name)) fail("name: ", quoted(name), " is no model name; expected [a-z0-9][a-z0-9_.-]{0,62}");
  if (id.sequence != 0) join_build(name, id);
  {
    MutexLock lock(mutex_);
    const auto found = models_.find(name);
    if (found != models_.end() && found->second && id.sequence != 0 && found->second->created_by() == id) {
      return found->second;
    }
    if (found != models_.end())
      fail_with(absl::StatusCode::kAlreadyExists, "a model ", quoted(name), " exists already");
    if (static_cast<int64_t>(models_.size()) >= options_.max_models) {
      fail_limit("max_models", "the server holds ", models_.size(),
                 " models already; delete one, or raise --max_models (", options_.max_models, ")");
    }
    if (!validate_only) {
      models_[name] = nullptr;
      building_[name] = id;
    }
  }
  if (validate_only) {
    return std::make_shared<LiveModel>(name, spec, seed, options_.model, pool_, std::make_shared<ModelMetrics>(name));
  }
  std::shared_ptr<ModelMetrics> metrics;
  std::shared_ptr<LiveModel> model;
  const auto built = [&] {
    MutexLock lock(mutex_);
    building_.erase(name);
    if (model) {
      models_[name] = model;
    } else {
      models_.erase(name);
    }
    built_.notify_all();
  };
  try {
    metrics = metrics_.add_model(name);
    auto made = std::make_shared<LiveModel>(name, spec, seed, options_.model, pool_, metrics, id);
    check_cancelled();
    model = std::move(made);
  } catch (...) {
    if (metrics) metrics_.remove_model(metrics);
    built();
    throw;
  }
  built();
  return model;
}

void ModelRegistry::join_build(const std::string& name, const ChangeId& id) {
  constexpr auto kLook = std::chrono::milliseconds(20);  // at cancellation
  std::optional<PermitRelease> waiting;
  for (;;) {
    check_cancelled();
    {
      MutexLock lock(mutex_);
      const auto found = building_.find(name);
      if (found == building_.end() || !(found->second == id)) return;
      if (waiting) built_.wait_until(mutex_, std::chrono::steady_clock::now() + kLook);
    }
    if (!waiting) waiting.emplace();
  }
}

std::shared_ptr<LiveModel> ModelRegistry::require(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = models_.find(name);
  if (found != models_.end() && found->second) return found->second;
  std::vector<std::string_view> known;
  for (const auto& [other, model] : models_) {
    if (model) known.push_back(other);
  }
  fail_with(absl::StatusCode::kNotFound, "no model ", quoted(name), did_you_mean(name, known));
}

void ModelRegistry::remove(const std::string& name, const ChangeId& id, absl::AnyInvocable<void()> ended) {
  const std::shared_ptr<LiveModel> model = require(name);
  const ChangeId& made_by = model->created_by();
  if (id.sequence != 0 && id.client == made_by.client && id.sequence <= made_by.sequence) {
    fail_precondition("call_id.sequence: ", id.sequence, " is of before the call that made the model, ",
                      made_by.sequence);
  }
  {
    MutexLock lock(mutex_);
    const auto found = models_.find(name);
    if (found == models_.end() || found->second != model) {
      fail_with(absl::StatusCode::kNotFound, "no model ", quoted(name), "; another call deleted it");
    }
    models_.erase(found);
  }
  metrics_.remove_model(model->metrics_handle());
  model->close(std::move(ended));
}

std::vector<std::shared_ptr<LiveModel>> ModelRegistry::list(const std::string& after, size_t most) const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<LiveModel>> out;
  for (auto it = models_.upper_bound(after); it != models_.end() && out.size() < most; ++it) {
    if (it->second) out.push_back(it->second);
  }
  return out;
}

size_t ModelRegistry::size() const {
  MutexLock lock(mutex_);
  return static_cast<size_t>(std::ranges::count_if(models_, [](const auto& entry) { return entry.second != nullptr; }));
}

size_t ModelRegistry::tape_count() const {
  size_t count = 0;
  for (const auto& model : list("", ~size_t{0})) count += model->tapes().size();
  return count;
}

void ModelRegistry::sweep_loop() {
  constexpr auto kPeriod = std::chrono::seconds(1);
  for (;;) {
    {
      MutexLock lock(mutex_);
      const auto until = std::chrono::steady_clock::now() + kPeriod;
      while (!stopping_ && std::chrono::steady_clock::now() < until) stopping_changed_.wait_until(mutex_, until);
      if (stopping_) return;
    }
    const auto now = TapeStore::Clock::now();
    for (const auto& model : list("", ~size_t{0})) model->expire(now);
  }
}

}  // namespace tapewire
