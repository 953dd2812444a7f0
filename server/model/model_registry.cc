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

namespace {

ModelRegistry::Options with_clock(ModelRegistry::Options options, const std::shared_ptr<ExpiryClock>& clock) {
  if (!options.model.hooks) options.model.hooks = std::make_shared<HookResources>(options.hooks);
  options.model.expires_at = [clock](ExpiryClock::Clock::time_point time) { clock->wake_at(time); };
  return options;
}

// What a deletion is remembered under: sequences rise by client and model.
ChangeId deletion_id(const std::string& name, const ChangeId& id) {
  return {id.sequence == 0 ? "" : str_cat(id.client, "/", name), id.sequence};
}

}  // namespace

ModelRegistry::ModelRegistry(Options options, ComputePool& pool, Metrics& metrics)
    : pool_(pool),
      metrics_(metrics),
      clock_(std::make_shared<ExpiryClock>([this](ExpiryClock::Clock::time_point now) { return expire(now); })),
      options_(with_clock(std::move(options), clock_)) {}

ModelRegistry::~ModelRegistry() {
  clock_->stop();
  // A watcher on its thread may hold the last share of what the thread belongs to.
  options_.model.hooks->dispatcher.stop();
  std::vector<std::string> names;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, model] : models_) names.push_back(name);
  }
  for (const std::string& name : names) {
    try {
      remove(name);
    } catch (const Error&) {
      // Removed by a call that was still running.
    }
  }
}

std::shared_ptr<LiveModel> ModelRegistry::find_existing(const CreateArgs& args) const {
  if (const auto found = models_.find(args.name); found != models_.end()) {
    if (args.id.sequence != 0 && found->second->created_by() == args.id) return found->second;
    fail_with(absl::StatusCode::kAlreadyExists, "a model ", quoted(args.name), " exists already");
  }
  if (static_cast<int64_t>(models_.size()) >= options_.max_models) {
    fail_limit("max_models", "the server holds ", models_.size(),
               " models already; delete one, or raise --max_models (", options_.max_models, ")");
  }
  return nullptr;
}

void ModelRegistry::create(CreateArgs args, const std::shared_ptr<CancelSource>& cancel, Created created) {
  if (!is_model_name(args.name)) {
    fail("name: ", quoted(args.name), " is no model name; expected [a-z0-9][a-z0-9_.-]{0,62}");
  }
  Strand* strand = nullptr;
  {
    MutexLock lock(mutex_);
    // Known at once, without waiting for those that build.
    if (auto existing = find_existing(args)) {
      lock.unlock();
      return created(std::move(existing));
    }
    Builds& builds = builds_[args.name];
    if (!builds.strand) {
      builds.strand = std::make_unique<Strand>(
          pool_, Strand::Options{.name = str_cat("name '", args.name, "'"), .max_queue = options_.model.max_queue});
    }
    ++builds.count;
    strand = builds.strand.get();  // lives until build_ended()
  }
  const std::string name = args.name;
  strand->submit(
      {.kind = JobKind::kBuild, .cancel = cancel}, [this, args = std::move(args)] { return build(args); },
      [this, name, created = std::move(created)](absl::StatusOr<std::shared_ptr<LiveModel>> model) {
        build_ended(name);
        created(std::move(model));
      });
}

std::shared_ptr<LiveModel> ModelRegistry::build(const CreateArgs& args) {
  {
    MutexLock lock(mutex_);
    if (auto existing = find_existing(args)) return existing;
  }
  if (args.validate_only) {
    return std::make_shared<LiveModel>(args.name, args.spec, args.seed, options_.model, pool_,
                                       std::make_shared<ModelMetrics>(args.name));
  }
  const std::shared_ptr<ModelMetrics> metrics = metrics_.add_model(args.name);
  try {
    auto model = std::make_shared<LiveModel>(args.name, args.spec, args.seed, options_.model, pool_, metrics, args.id);
    check_cancelled();
    MutexLock lock(mutex_);
    // Others, of other names, may have been built meanwhile.
    if (find_existing(args)) fail_internal("two models were built under the name ", quoted(args.name));
    models_[args.name] = model;
    lock.unlock();
    if (args.made) args.made();
    return model;
  } catch (...) {
    metrics_.remove_model(metrics);
    throw;
  }
}

void ModelRegistry::build_ended(const std::string& name) {
  std::unique_ptr<Strand> last;
  MutexLock lock(mutex_);
  const auto found = builds_.find(name);
  if (--found->second.count > 0) return;
  last = std::move(found->second.strand);
  builds_.erase(found);
}

std::shared_ptr<LiveModel> ModelRegistry::require(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = models_.find(name);
  if (found != models_.end()) return found->second;
  std::vector<std::string_view> known;
  for (const auto& [other, model] : models_) known.push_back(other);
  fail_with(absl::StatusCode::kNotFound, "no model ", quoted(name), did_you_mean(name, known));
}

void ModelRegistry::remove(const std::string& name, const ChangeId& id, absl::AnyInvocable<void(bool)> ended) {
  const ChangeId change = deletion_id(name, id);
  std::shared_ptr<LiveModel> model;
  {
    MutexLock lock(mutex_);
    if (deletions_.check(change, "DeleteModel")) {
      lock.unlock();
      if (ended) ended(false);
      return;
    }
  }
  model = require(name);
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
    deletions_.note(change, "DeleteModel", "");
  }
  metrics_.remove_model(model->metrics_handle());
  model->close([ended = std::move(ended)]() mutable {
    if (ended) ended(true);
  });
}

std::vector<std::shared_ptr<LiveModel>> ModelRegistry::list(const std::string& after, size_t most) const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<LiveModel>> out;
  for (auto it = models_.upper_bound(after); it != models_.end() && out.size() < most; ++it) out.push_back(it->second);
  return out;
}

size_t ModelRegistry::size() const {
  MutexLock lock(mutex_);
  return models_.size();
}

size_t ModelRegistry::tape_count() const {
  size_t count = 0;
  for (const auto& model : list("", ~size_t{0})) count += model->tapes().size();
  return count;
}

std::optional<ExpiryClock::Clock::time_point> ModelRegistry::expire(ExpiryClock::Clock::time_point now) {
  std::optional<ExpiryClock::Clock::time_point> next;
  for (const auto& model : list("", ~size_t{0})) {
    model->expire(now);
    const auto due = model->next_expiry();
    if (due && (!next || *due < *next)) next = due;
  }
  return next;
}

}  // namespace tapewire
