#include "server/hook/hook_hub.h"

#include "core/base/error.h"

namespace tapewire {

std::shared_ptr<ModelHooks> HookHub::of(const std::shared_ptr<LiveModel>& model) {
  {
    MutexLock lock(mutex_);
    if (const auto found = hooks_.find(model.get()); found != hooks_.end()) return found->second;
  }
  auto hooks = std::make_shared<ModelHooks>(max_hooks_, model->metrics_handle());
  const uint64_t id = model->on_close([this, key = model.get(), deleted = model->closed_status()] {
    std::shared_ptr<ModelHooks> ended;
    {
      MutexLock lock_again(mutex_);
      ended = std::move(hooks_[key]);
      hooks_.erase(key);
    }
    if (ended) ended->finish_watchers(deleted);
  });
  if (id == 0) throw Error(absl::StatusCode::kNotFound, std::string(model->closed_status().message()));
  MutexLock lock(mutex_);
  return hooks_.try_emplace(model.get(), hooks).first->second;
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
