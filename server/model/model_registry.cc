#include "server/model/model_registry.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {

void check_model_name(const std::string& name) {
  constexpr size_t kLongest = 63;
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good = !name.empty() && name.size() <= kLongest && plain(name[0]) &&
                    std::ranges::all_of(name, [&](char c) { return plain(c) || c == '_' || c == '.' || c == '-'; });
  if (!good) fail("name: ", quoted(name), " is no model name; expected [a-z0-9][a-z0-9_.-]{0,62}");
}

ModelRegistry::ModelRegistry(Options options, ComputePool& pool, Metrics& metrics)
    : options_(std::move(options)), pool_(pool), metrics_(metrics), sweeper_([this] { sweep_loop(); }) {}

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
  check_model_name(name);
  {
    MutexLock lock(mutex_);
    const auto found = models_.find(name);
    if (found != models_.end() && found->second && id.sequence != 0 && found->second->created_by() == id) {
      return found->second;
    }
    if (found != models_.end())
      fail_with(absl::StatusCode::kAlreadyExists, "a model ", quoted(name), " exists already");
    if (static_cast<int64_t>(models_.size()) >= options_.max_models) {
      fail_with(absl::StatusCode::kResourceExhausted, "the server holds ", models_.size(),
                " models already; delete one, or raise --max_models (", options_.max_models, ")");
    }
    if (!validate_only) models_[name] = nullptr;
  }
  std::shared_ptr<ModelMetrics> metrics;
  try {
    if (validate_only) {
      return std::make_shared<LiveModel>(name, spec, seed, options_.model, pool_, std::make_shared<ModelMetrics>(name));
    }
    metrics = metrics_.add_model(name);
    auto model = std::make_shared<LiveModel>(name, spec, seed, options_.model, pool_, metrics, id);
    MutexLock lock(mutex_);
    models_[name] = model;
    return model;
  } catch (...) {
    if (!validate_only) {
      if (metrics) metrics_.remove_model(metrics);
      MutexLock lock(mutex_);
      models_.erase(name);
    }
    throw;
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

void ModelRegistry::remove(const std::string& name) {
  const std::shared_ptr<LiveModel> model = require(name);
  {
    MutexLock lock(mutex_);
    const auto found = models_.find(name);
    if (found == models_.end() || found->second != model) {
      fail_with(absl::StatusCode::kNotFound, "no model ", quoted(name), "; another call deleted it");
    }
    models_.erase(found);
  }
  model->close();
  metrics_.remove_model(model->metrics_handle());
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
    for (const auto& model : list("", ~size_t{0})) model->expire_tapes(now);
  }
}

}  // namespace tapewire
