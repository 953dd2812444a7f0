#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>

#include "core/base/mutex.h"
#include "server/hook/watcher.h"

namespace tapewire {

/// The thread that hands events to the watchers' streams, for all models: threads that compute neither encode nor send.
/// It has a low priority, and gives out large events at a bounded rate, so that clients which read as fast as they can
/// leave the processor to the models. Watchers take turns, one event each. Thread-safe.
class EventDispatcher {
 public:
  using Clock = std::chrono::steady_clock;

  /// From this size on an event waits for the rate.
  static constexpr int64_t kLargeEvent = 64 << 10;

  /// No bound when `bytes_per_second` is 0.
  explicit EventDispatcher(int64_t bytes_per_second);
  /// REQUIRES: no watcher is left that has a sink.
  ~EventDispatcher();
  /// Delivers nothing more, and waits for its thread, so that what ends there does not end the dispatcher. Not from
  /// that thread, nor from two at once.
  void stop() TW_EXCLUDES(mutex_);
  EventDispatcher(const EventDispatcher&) = delete;
  EventDispatcher& operator=(const EventDispatcher&) = delete;

  /// The watcher has something for its sink: deliver() will be called. Never waits for a sink.
  void schedule(std::shared_ptr<Watcher> watcher) TW_EXCLUDES(mutex_);

 private:
  void run() TW_EXCLUDES(mutex_);
  /// The next to be asked, when it may be; none when it is time to stop.
  std::shared_ptr<Watcher> next(bool& waited_for_rate) TW_EXCLUDES(mutex_);
  void spend(int64_t bytes);

  const int64_t bytes_per_second_;
  Clock::time_point open_at_{};  // the thread's own: when the rate allows the next large event
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::shared_ptr<Watcher>> ready_ TW_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Watcher>> held_ TW_GUARDED_BY(mutex_);  // for the rate
  bool stopping_ TW_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tapewire
