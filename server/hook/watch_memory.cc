#include "server/hook/watch_memory.h"

#include "server/hook/watcher.h"

namespace tapewire {

std::optional<WatchMemory::Share> WatchMemory::reserve(int64_t bytes) {
  for (;;) {
    int64_t used = used_->load(std::memory_order_relaxed);
    while (used <= limit_ - bytes) {
      if (used_->compare_exchange_weak(used, used + bytes, std::memory_order_relaxed)) return Share(used_, bytes);
    }
    if (bytes > limit_ || !drop_one()) return std::nullopt;
  }
}

bool WatchMemory::give_way(int64_t bytes) {
  const int64_t before = used();
  bool any = false;
  while (before - used() < bytes && drop_one()) any = true;
  return any;
}

void WatchMemory::add(const std::shared_ptr<Watcher>& watcher) {
  MutexLock lock(mutex_);
  std::erase_if(watchers_, [](const auto& w) { return w.expired(); });
  watchers_.push_back(watcher);
}

bool WatchMemory::drop_one() {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    MutexLock lock(mutex_);
    for (const auto& weak : watchers_) {
      if (auto watcher = weak.lock()) watchers.push_back(std::move(watcher));
    }
  }
  std::shared_ptr<Watcher> largest;
  int64_t most = 0;
  for (const auto& watcher : watchers) {
    const int64_t bytes = watcher->waiting_bytes();
    if (bytes <= most) continue;
    most = bytes;
    largest = watcher;
  }
  if (!largest) return false;
  // Its reader may have been faster; then there is more room as well.
  largest->drop_oldest(HookDrop::kMemory);
  return true;
}

}  // namespace tapewire
