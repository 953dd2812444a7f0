#pragma once

#include <map>
#include <memory>

#include "core/base/mutex.h"
#include "server/hook/model_hooks.h"
#include "server/model/live_model.h"

namespace tapewire {

/// The hooks of all models. A model's go with it. Thread-safe. REQUIRES: outlives the models.
class HookHub {
 public:
  explicit HookHub(int64_t max_hooks) : max_hooks_(max_hooks) {}

  /// The model's hooks, made when first asked for.
  std::shared_ptr<ModelHooks> of(const std::shared_ptr<LiveModel>& model) TW_EXCLUDES(mutex_);
  /// Ends all watches, as a drain does.
  void finish_watchers(const absl::Status& status) TW_EXCLUDES(mutex_);

 private:
  const int64_t max_hooks_;
  Mutex mutex_;
  std::map<const LiveModel*, std::shared_ptr<ModelHooks>> hooks_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
