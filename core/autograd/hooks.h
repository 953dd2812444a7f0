#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/mutex.h"

namespace tapewire {

/// A fresh hook id: global and monotonic, as torch.utils.hooks.RemovableHandle counts.
uint64_t next_hook_id();

/// Takes a hook off again. `remove` is idempotent and safe after the hooked object died.
class HookHandle {
 public:
  HookHandle() = default;
  HookHandle(uint64_t id, std::function<void()> remove) : id_(id), remove_(std::move(remove)) {}

  uint64_t id() const { return id_; }
  void remove() {
    if (remove_) std::exchange(remove_, nullptr)();
  }

 private:
  uint64_t id_ = 0;
  std::function<void()> remove_;
};

/// Hooks of one kind in firing order. A call iterates a snapshot of the table, so hooks may come and go while it runs.
/// `add` takes its turn with the other users of the table; a handle may be removed from any thread.
template <class Signature>
class HookTable {
 public:
  using Hook = std::function<Signature>;
  struct Entry {
    uint64_t id;
    Hook hook;
  };
  using Snapshot = std::shared_ptr<const std::vector<Entry>>;

  HookHandle add(Hook hook, bool prepend = false) {
    const uint64_t id = next_hook_id();
    if (!state_) state_ = std::make_shared<State>();
    state_->edit([&](std::vector<Entry>& entries) {
      entries.insert(prepend ? entries.begin() : entries.end(), Entry{id, std::move(hook)});
    });
    return HookHandle(id, [weak = std::weak_ptr<State>(state_), id] {
      if (const std::shared_ptr<State> state = weak.lock()) {
        state->edit([id](std::vector<Entry>& entries) {
          std::erase_if(entries, [id](const Entry& entry) { return entry.id == id; });
        });
      }
    });
  }

  bool empty() const { return !state_ || state_->size.load(std::memory_order_acquire) == 0; }
  /// REQUIRES: a hook was once added.
  Snapshot snapshot() const {
    MutexLock lock(state_->mutex);
    return state_->entries;
  }

 private:
  struct State {
    template <class Edit>
    void edit(Edit&& change) {
      MutexLock lock(mutex);
      auto next = std::make_shared<std::vector<Entry>>(*entries);
      change(*next);
      size.store(next->size(), std::memory_order_release);
      entries = std::move(next);
    }
    mutable Mutex mutex;
    Snapshot entries TW_GUARDED_BY(mutex) = std::make_shared<const std::vector<Entry>>();
    std::atomic<size_t> size{0};
  };

  std::shared_ptr<State> state_;  // made by the first add
};

}  // namespace tapewire
