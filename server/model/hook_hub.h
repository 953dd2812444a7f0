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
  explicit HookHub(const HookLimits& limits) : resources_(limits) {}
  explicit HookHub(int64_t max_hooks) : HookHub(HookLimits{.max_hooks = max_hooks}) {}

  HookResources& resources() { return resources_; }
  /// The model's hooks, made when first asked for.
  std::shared_ptr<ModelHooks> of(const std::shared_ptr<LiveModel>& model) TW_EXCLUDES(mutex_);
  /// Ends all watches, as a drain does.
  void finish_watchers(const absl::Status& status) TW_EXCLUDES(mutex_);

 private:
  HookResources resources_;
  Mutex mutex_;
  std::map<const LiveModel*, std::shared_ptr<ModelHooks>> hooks_ TW_GUARDED_BY(mutex_);
};

/// What hooks of this model can be put on. In its turn.
inline HookTargets hook_targets(const LiveModel& model) { return {model.modules(), model.parameters()}; }

}  // namespace tapewire
