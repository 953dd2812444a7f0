#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "core/base/mutex.h"

namespace tapewire {

/// A thread that lets go what is due: it sleeps until the next time that it was told, and asks then. Thread-safe.
class ExpiryClock {
 public:
  using Clock = std::chrono::steady_clock;

  /// `expire(now)` lets go what is due and tells when to ask again, if ever. Called on the clock's thread.
  explicit ExpiryClock(std::function<std::optional<Clock::time_point>(Clock::time_point now)> expire);
  ~ExpiryClock();
  ExpiryClock(const ExpiryClock&) = delete;
  ExpiryClock& operator=(const ExpiryClock&) = delete;

  /// Asks at `time`, or before. After stop() it does nothing.
  void wake_at(Clock::time_point time) TW_EXCLUDES(mutex_);
  /// Ends the thread. No expire() runs when this returns.
  void stop() TW_EXCLUDES(mutex_);

 private:
  void loop() TW_EXCLUDES(mutex_);

  const std::function<std::optional<Clock::time_point>(Clock::time_point)> expire_;
  Mutex mutex_;
  CondVar changed_;
  std::optional<Clock::time_point> next_ TW_GUARDED_BY(mutex_);
  bool stopping_ TW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tapewire
