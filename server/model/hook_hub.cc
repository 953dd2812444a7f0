#include "server/model/hook_hub.h"

#include <atomic>

#include "core/base/error.h"

namespace tapewire {

std::shared_ptr<ModelHooks> HookHub::of(const std::shared_ptr<LiveModel>& model) {
  MutexLock lock(mutex_);
  if (const auto found = hooks_.find(model.get()); found != hooks_.end()) return found->second;
  auto hooks = std::make_shared<ModelHooks>(
      resources_, model->metrics_handle(), [m = model.get()] { return m->step_count(); },
      [m = model.get()](int delta) { m->add_hooks(delta); });
  const absl::Status deleted = absl::NotFoundError(str_cat("model '", model->name(), "' was deleted"));
  const bool lives = model->on_delete([this, key = model.get(), deleted] {
    std::shared_ptr<ModelHooks> ended;
    {
      MutexLock lock_again(mutex_);
      ended = std::move(hooks_[key]);
      hooks_.erase(key);
    }
    if (ended) ended->finish_watchers(deleted);
  });
  // At most one job of this kind waits at a time.
  model->on_expire(
      [weak = std::weak_ptr(hooks), key = model.get(), waits = std::make_shared<std::atomic<bool>>(false)] {
        const auto expiring = weak.lock();
        const auto next = expiring ? expiring->next_expiry() : std::nullopt;
        if (!next || *next > Lease::Clock::now() || waits->exchange(true)) return;
        key->submit(
            nullptr, [expiring](LiveModel&) { expiring->drop_expired(); },
            [waits](const absl::Status&) { *waits = false; });
      });
  if (!lives) throw Error(deleted.code(), std::string(deleted.message()));
  hooks_[model.get()] = hooks;
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
