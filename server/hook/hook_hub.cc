#include "server/hook/hook_hub.h"

namespace tapewire {

std::shared_ptr<ModelHooks> HookHub::of(const std::shared_ptr<LiveModel>& model) {
  MutexLock lock(mutex_);
  std::shared_ptr<ModelHooks>& hooks = hooks_[model.get()];
  if (!hooks) {
    hooks = std::make_shared<ModelHooks>(max_hooks_, model->metrics_handle());
    model->on_delete([this, key = model.get(), name = model->name()] {
      std::shared_ptr<ModelHooks> ended;
      {
        MutexLock lock_again(mutex_);
        ended = std::move(hooks_[key]);
        hooks_.erase(key);
      }
      if (ended) ended->finish_watchers(absl::NotFoundError("model '" + name + "' was deleted"));
    });
  }
  return hooks;
}

void HookHub::finish_watchers(const absl::Status& status) {
  std::vector<std::shared_ptr<ModelHooks>> all;
  {
    MutexLock lock(mutex_);
    for (const auto& [model, hooks] : hooks_) all.push_back(hooks);
  }
  for (const auto& hooks : all) hooks->finish_watchers(status);
}

}  // namespace tapewire
