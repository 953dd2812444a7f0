#include "core/base/cancel.h"

#include "core/base/error.h"
#include "core/base/limit_error.h"

namespace tapewire {
namespace {
thread_local const CancelToken* current_token = nullptr;
}  // namespace

void CancelToken::check() const {
  if (cancelled_.load(std::memory_order_relaxed)) fail_with(absl::StatusCode::kCancelled, "the call was cancelled");
  if (parent_ != nullptr) parent_->check();
  if (deadline_ != Clock::time_point::max() && Clock::now() >= deadline_) {
    if (limit_) {
      throw LimitError(limit_->name, Error(absl::StatusCode::kDeadlineExceeded,
                                           str_cat("the call has no deadline, and ran longer than --", limit_->name,
                                                   "=", limit_->seconds.count(), " allows")));
    }
    fail_with(absl::StatusCode::kDeadlineExceeded, "the call's deadline passed while it ran");
  }
}

CancelScope::CancelScope(const CancelToken* token) : previous_(current_token) { current_token = token; }
CancelScope::~CancelScope() { current_token = previous_; }

const CancelToken* current_cancel_token() { return current_token; }

void check_cancelled() {
  if (current_token != nullptr) current_token->check();
}

void detail::check_after_work() {
  work_left = kWorkBetweenChecks;
  check_cancelled();
}

}  // namespace tapewire
