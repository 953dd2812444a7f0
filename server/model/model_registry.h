#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "server/model/expiry_clock.h"
#include "server/model/live_model.h"
#include "server/observe/metrics.h"

namespace tapewire {

/// A CreateModel.
struct CreateArgs {
  std::string name;
  v1::ModelSpec spec;
  uint64_t seed = 0;
  bool validate_only = false;
  ChangeId id = {};
  std::function<void()> made = nullptr;  // called before `created` when this call gave the model its name
};

/// The models of a server by name. Thread-safe.
class ModelRegistry {
 public:
  struct Options {
    ModelSettings model;
    int64_t max_models = 1000;
    HookLimits hooks = {};
  };
  using Created = std::function<void(absl::StatusOr<std::shared_ptr<LiveModel>>)>;

  ModelRegistry(Options options, ComputePool& pool, Metrics& metrics);
  /// Closes all models.
  ~ModelRegistry();
  ModelRegistry(const ModelRegistry&) = delete;
  ModelRegistry& operator=(const ModelRegistry&) = delete;

  /// Builds a model, as a job apart from those of models, gives it its name, and then calls `created`. INVALID_ARGUMENT
  /// (name, definition), ALREADY_EXISTS, RESOURCE_EXHAUSTED. Those of one name are built one after the other, so the
  /// second learns what became of the first. A definition that is only to be validated is built and let go again.
  /// Leaves no trace when it fails or is cancelled. The same numbered call again gives the model that it made.
  void create(CreateArgs args, const std::shared_ptr<CancelSource>& cancel, Created created) TW_EXCLUDES(mutex_);
  /// NOT_FOUND with a suggestion when there is none.
  std::shared_ptr<LiveModel> require(const std::string& name) const TW_EXCLUDES(mutex_);
  /// The model ends: its waiting calls fail with NOT_FOUND, then `ended(true)` is called, when the call that runs has
  /// ended. The same numbered call again, within an hour, has nothing left to do: `ended(false)`. NOT_FOUND;
  /// FAILED_PRECONDITION when `id` is a call of before the one that made it.
  void remove(const std::string& name, const ChangeId& id = {}, absl::AnyInvocable<void(bool now)> ended = nullptr)
      TW_EXCLUDES(mutex_);
  /// Models in order of name, from the first whose name is greater than `after`; at most `most`.
  std::vector<std::shared_ptr<LiveModel>> list(const std::string& after, size_t most) const TW_EXCLUDES(mutex_);
  size_t size() const TW_EXCLUDES(mutex_);
  /// Tapes of all models.
  size_t tape_count() const TW_EXCLUDES(mutex_);

  const Options& options() const { return options_; }

 private:
  /// Of one name, while it is built under.
  struct Builds {
    std::unique_ptr<Strand> strand;
    int count = 0;  // that wait or run
  };

  std::shared_ptr<LiveModel> build(const CreateArgs& args) TW_EXCLUDES(mutex_);
  /// The model that stands in the way of `args`, or that its own call made before; null when there is room. Throws.
  std::shared_ptr<LiveModel> find_existing(const CreateArgs& args) const TW_REQUIRES(mutex_);
  void build_ended(const std::string& name) TW_EXCLUDES(mutex_);
  std::optional<ExpiryClock::Clock::time_point> expire(ExpiryClock::Clock::time_point now) TW_EXCLUDES(mutex_);

  ComputePool& pool_;
  Metrics& metrics_;
  const std::shared_ptr<ExpiryClock> clock_;  // models outlive this by the calls that run
  const Options options_;
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<LiveModel>> models_ TW_GUARDED_BY(mutex_);
  std::map<std::string, Builds> builds_ TW_GUARDED_BY(mutex_);
  OnceGuard deletions_ TW_GUARDED_BY(mutex_);  // by client and model
};

/// Whether the name is [a-z0-9][a-z0-9_.-]{0,62}.
bool is_model_name(std::string_view name);

}  // namespace tapewire
