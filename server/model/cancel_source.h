#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "core/base/cancel.h"
#include "core/base/mutex.h"

namespace tapewire {

/// A CancelToken, and those who must hear at once that it was cancelled: what waits in a queue or for a client. Shared
/// by the call that may be cancelled and the work done for it. Thread-safe.
class CancelSource {
 public:
  explicit CancelSource(CancelToken::Clock::time_point deadline = CancelToken::Clock::time_point::max())
      : token_(deadline) {}

  const CancelToken& token() const { return token_; }
  /// True once cancelled or past the deadline.
  bool stopped() const { return !status().ok(); }
  /// OK, DEADLINE_EXCEEDED (also when cancelled for being late), or what cancel() was given.
  absl::Status status() const TW_EXCLUDES(mutex_);

  /// Sets the token, then runs the callbacks on this thread. Only the first call does anything.
  void cancel(absl::Status reason = absl::CancelledError("the call was cancelled")) TW_EXCLUDES(mutex_);
  /// `callback` runs at cancel(), or now when that has been. It must not throw. The id is for forget(); 0 when it ran.
  uint64_t on_cancel(absl::AnyInvocable<void()> callback) TW_EXCLUDES(mutex_);
  /// A callback that has not begun will not run. One that runs now is not waited for.
  void forget(uint64_t id) TW_EXCLUDES(mutex_);
  /// Nobody will hear: the call is over.
  void forget_all() TW_EXCLUDES(mutex_);

 private:
  CancelToken token_;
  mutable Mutex mutex_;
  absl::Status reason_ TW_GUARDED_BY(mutex_);
  uint64_t last_id_ TW_GUARDED_BY(mutex_) = 0;
  std::vector<std::pair<uint64_t, absl::AnyInvocable<void()>>> callbacks_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
