#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "server/model/live_model.h"
#include "server/observe/metrics.h"

namespace tapewire {

/// The models of a server by name. Thread-safe.
class ModelRegistry {
 public:
  struct Options {
    ModelSettings model;
    int64_t max_models = 1000;
  };

  ModelRegistry(Options options, ComputePool& pool, Metrics& metrics);
  /// Closes all models.
  ~ModelRegistry();

  /// Builds a model and gives it its name. INVALID_ARGUMENT (name, definition), ALREADY_EXISTS, RESOURCE_EXHAUSTED. A
  /// definition that is only to be validated is built and let go again. Takes as long as building does; fails without
  /// a trace when it is cancelled. The same numbered call again, also while the first one builds, gives the model that
  /// it made.
  std::shared_ptr<LiveModel> create(const std::string& name, const v1::ModelSpec& spec, uint64_t seed,
                                    bool validate_only = false, const ChangeId& id = {}) TW_EXCLUDES(mutex_);
  /// NOT_FOUND with a suggestion when there is none.
  std::shared_ptr<LiveModel> require(const std::string& name) const TW_EXCLUDES(mutex_);
  /// The model ends: its waiting calls fail with NOT_FOUND, then `ended` is called, when the call that runs has ended.
  /// FAILED_PRECONDITION when `id` is a call of before the one that made it.
  void remove(const std::string& name, const ChangeId& id = {}, absl::AnyInvocable<void()> ended = nullptr)
      TW_EXCLUDES(mutex_);
  /// Models in order of name, from the first whose name is greater than `after`; at most `most`.
  std::vector<std::shared_ptr<LiveModel>> list(const std::string& after, size_t most) const TW_EXCLUDES(mutex_);
  size_t size() const TW_EXCLUDES(mutex_);
  /// Tapes of all models.
  size_t tape_count() const TW_EXCLUDES(mutex_);

  const Options& options() const { return options_; }
  ComputePool& pool() const { return pool_; }

 private:
  void sweep_loop();
  /// Waits while a model is being built by that very call.
  void join_build(const std::string& name, const ChangeId& id) TW_EXCLUDES(mutex_);

  const Options options_;
  ComputePool& pool_;
  Metrics& metrics_;
  mutable Mutex mutex_;
  CondVar stopping_changed_;
  bool stopping_ TW_GUARDED_BY(mutex_) = false;
  // A null model holds a name while its model is built.
  std::map<std::string, std::shared_ptr<LiveModel>> models_ TW_GUARDED_BY(mutex_);
  std::map<std::string, ChangeId> building_ TW_GUARDED_BY(mutex_);
  CondVar built_;
  std::thread sweeper_;  // lets tapes go whose lease ran out
};

/// Whether the name is [a-z0-9][a-z0-9_.-]{0,62}.
bool is_model_name(std::string_view name);

}  // namespace tapewire
