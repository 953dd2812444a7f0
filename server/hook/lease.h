#pragma once

#include <chrono>
#include <optional>

#include "core/base/mutex.h"

namespace tapewire {

/// How long a hook lives: until its lease has run out since it was made or was last watched. While somebody watches, it
/// does not run out. On a clock that no one sets. Thread-safe.
class Lease {
 public:
  using Clock = std::chrono::steady_clock;

  /// Without a length it never ends.
  explicit Lease(std::optional<std::chrono::milliseconds> length, Clock::time_point now = Clock::now())
      : length_(length), since_(now) {}

  /// When it ends if nobody begins to watch; counted from `now` while somebody does.
  std::optional<Clock::time_point> ends(Clock::time_point now) const TW_EXCLUDES(mutex_) {
    if (!length_) return std::nullopt;
    MutexLock lock(mutex_);
    return (watches_ > 0 ? now : since_) + *length_;
  }
  bool over(Clock::time_point now) const TW_EXCLUDES(mutex_) {
    if (!length_) return false;
    MutexLock lock(mutex_);
    return watches_ == 0 && since_ + *length_ <= now;
  }
  /// When it will end; none while it cannot.
  std::optional<Clock::time_point> expiry() const TW_EXCLUDES(mutex_) {
    if (!length_) return std::nullopt;
    MutexLock lock(mutex_);
    if (watches_ > 0) return std::nullopt;
    return since_ + *length_;
  }

  void begin_watch() TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++watches_;
  }
  void end_watch(Clock::time_point now) TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (--watches_ == 0) since_ = now;
  }

 private:
  const std::optional<std::chrono::milliseconds> length_;
  mutable Mutex mutex_;
  Clock::time_point since_ TW_GUARDED_BY(mutex_);
  int watches_ TW_GUARDED_BY(mutex_) = 0;
};

}  // namespace tapewire
