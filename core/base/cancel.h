#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace tapewire {

/// Tells a running computation to stop: set from any thread, or due at a deadline. Whatever loops over something that
/// may be long asks every few milliseconds. An operation that is stopped may leave what it writes in place half
/// written; who must not be stopped there runs under CancelScope(nullptr).
class CancelToken {
 public:
  using Clock = std::chrono::steady_clock;

  explicit CancelToken(Clock::time_point deadline = Clock::time_point::max()) : deadline_(deadline) {}
  /// A time limit that a setting gives to calls without a deadline.
  struct Limit {
    const char* name;
    std::chrono::duration<double> seconds;
  };
  /// A part of what `parent` stands for, with a time limit of its own: stops when the parent does, or at `deadline`,
  /// for which the error names `limit`. REQUIRES: the parent outlives it.
  CancelToken(const CancelToken& parent, Clock::time_point deadline, const Limit& limit)
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
  std::optional<Limit> limit_;
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

/// The token of this thread's scope, or nullptr.
const CancelToken* current_cancel_token();

/// Throws when this thread's token says so; does nothing without a token.
void check_cancelled();

namespace detail {

/// How many operations count_work() lets pass between two looks at the token: from a quarter of a millisecond to some
/// ten, by what an operation costs.
inline constexpr int64_t kWorkBetweenChecks = 1 << 18;

/// What is left of them on this thread. Tests set it, to stop a computation at any place.
inline constinit thread_local int64_t work_left = kWorkBetweenChecks;

void check_after_work();

}  // namespace detail

/// Tells that this thread is about to do so many elementary operations (a few nanoseconds each, at most some tens), and
/// checks the token each time that enough have come together. Costs a subtraction: for loops over rows, windows or
/// taps, not over elements.
inline void count_work(int64_t operations) {
  detail::work_left -= std::min(operations, detail::kWorkBetweenChecks);
  if (detail::work_left <= 0) [[unlikely]]
    detail::check_after_work();
}

/// What a tensor or a view that is made in a loop counts, besides its elements.
inline constexpr int64_t kTensorWork = 64;

/// Elements that in_pieces() takes at once.
inline constexpr int64_t kPieceElements = 1 << 16;

/// Calls f(begin, end) over consecutive ranges that cover [0, n), each but the last a multiple of 4096 long, and checks
/// the token between them: a loop over many elements in a row. `cost` is of one element, in operations. Below 65,536
/// operations f is called once and nothing is checked, so it may stand within a loop that counts its work itself.
template <class F>
void in_pieces(int64_t n, const F& f, int64_t cost = 1) {
  constexpr int64_t kMultiple = 4096;
  if (n <= kPieceElements / cost) return f(int64_t{0}, n);
  const int64_t step = std::max<int64_t>(1, kPieceElements / cost / kMultiple) * kMultiple;
  for (int64_t begin = 0; begin < n; begin += step) {
    check_cancelled();
    f(begin, std::min(n, begin + step));
  }
}

}  // namespace tapewire
