#pragma once

#include <atomic>
#include <chrono>

namespace tapewire {

/// Tells a running computation to stop: set from any thread, or due at a deadline. The engine asks between nodes and
/// modules, so a computation ends within one op of the request.
class CancelToken {
 public:
  using Clock = std::chrono::steady_clock;

  explicit CancelToken(Clock::time_point deadline = Clock::time_point::max()) : deadline_(deadline) {}

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  Clock::time_point deadline() const { return deadline_; }
  /// Throws CANCELLED or DEADLINE_EXCEEDED when the computation is to stop.
  void check() const;

 private:
  std::atomic<bool> cancelled_{false};
  Clock::time_point deadline_;
};

/// Makes `token` the one that check_cancelled() asks on this thread, for a scope. nullptr: work that must not stop.
class CancelScope {
 public:
  explicit CancelScope(const CancelToken* token);
  ~CancelScope();
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

 private:
  const CancelToken* previous_;
};

/// Throws when this thread's token says so; does nothing without a token.
void check_cancelled();

}  // namespace tapewire
