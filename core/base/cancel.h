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
  /// A part of what `parent` stands for, with a time limit of its own: stops when the parent does, or at `deadline`.
  /// `limit` names the setting behind that deadline in the error. REQUIRES: the parent outlives it.
  CancelToken(const CancelToken& parent, Clock::time_point deadline, const char* limit)
      : deadline_(deadline), parent_(&parent), limit_(limit) {}
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const {
    return cancelled_.load(std::memory_order_relaxed) || (parent_ != nullptr && parent_->cancelled());
  }
  Clock::time_point deadline() const { return deadline_; }
  /// Throws CANCELLED or DEADLINE_EXCEEDED when the computation is to stop.
  void check() const;

 private:
  std::atomic<bool> cancelled_{false};
  Clock::time_point deadline_;
  const CancelToken* parent_ = nullptr;
  const char* limit_ = nullptr;
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
