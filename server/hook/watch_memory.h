#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/mutex.h"

namespace tapewire {

class Watcher;

/// The memory that events of all watchers may hold together. An event is counted once, however many watchers share it.
/// When there is no room, the watcher that holds most loses its oldest event, and so on. Thread-safe.
class WatchMemory {
 public:
  /// Bytes that are counted until it is destroyed; it may outlive the WatchMemory.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept : used_(std::move(other.used_)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(used_, other.used_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() {
      if (used_) used_->fetch_sub(bytes_, std::memory_order_relaxed);
    }

    int64_t bytes() const { return bytes_; }

   private:
    friend class WatchMemory;
    Share(std::shared_ptr<std::atomic<int64_t>> used, int64_t bytes) : used_(std::move(used)), bytes_(bytes) {}

    std::shared_ptr<std::atomic<int64_t>> used_;
    int64_t bytes_ = 0;
  };

  explicit WatchMemory(int64_t limit) : limit_(limit) {}
  WatchMemory(const WatchMemory&) = delete;
  WatchMemory& operator=(const WatchMemory&) = delete;

  /// Room for an event, made at the cost of older ones if need be. None when what is left cannot be let go: events on
  /// their way to clients.
  std::optional<Share> reserve(int64_t bytes) TW_EXCLUDES(mutex_);
  /// Lets waiting events of at least so many bytes go, or all: when memory is needed for something else. False when
  /// none waited.
  bool give_way(int64_t bytes) TW_EXCLUDES(mutex_);
  int64_t used() const { return used_->load(std::memory_order_relaxed); }
  int64_t limit() const { return limit_; }

  /// A watcher whose events may be let go, for as long as it lives.
  void add(const std::shared_ptr<Watcher>& watcher) TW_EXCLUDES(mutex_);

 private:
  bool drop_one() TW_EXCLUDES(mutex_);

  const int64_t limit_;
  const std::shared_ptr<std::atomic<int64_t>> used_ = std::make_shared<std::atomic<int64_t>>(0);
  Mutex mutex_;
  std::vector<std::weak_ptr<Watcher>> watchers_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
