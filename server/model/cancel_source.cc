#include "server/model/cancel_source.h"

#include <algorithm>

namespace tapewire {

absl::Status CancelSource::status() const {
  const auto deadline = token_.deadline();
  if (deadline != CancelToken::Clock::time_point::max() && CancelToken::Clock::now() >= deadline) {
    return absl::DeadlineExceededError("the call's deadline passed");
  }
  if (!token_.cancelled()) return absl::OkStatus();
  MutexLock lock(mutex_);
  return reason_;
}

void CancelSource::cancel(absl::Status reason) {
  std::vector<std::pair<uint64_t, absl::AnyInvocable<void()>>> callbacks;
  {
    MutexLock lock(mutex_);
    if (token_.cancelled()) return;
    reason_ = std::move(reason);
    token_.cancel();
    callbacks.swap(callbacks_);
  }
  for (auto& [id, callback] : callbacks) callback();
}

uint64_t CancelSource::on_cancel(absl::AnyInvocable<void()> callback) {
  {
    MutexLock lock(mutex_);
    if (!token_.cancelled()) {
      callbacks_.emplace_back(++last_id_, std::move(callback));
      return last_id_;
    }
  }
  callback();
  return 0;
}

void CancelSource::forget(uint64_t id) {
  absl::AnyInvocable<void()> dropped;  // destroyed outside the lock
  MutexLock lock(mutex_);
  const auto found = std::find_if(callbacks_.begin(), callbacks_.end(), [id](const auto& c) { return c.first == id; });
  if (found == callbacks_.end()) return;
  dropped = std::move(found->second);
  callbacks_.erase(found);
}

void CancelSource::forget_all() {
  std::vector<std::pair<uint64_t, absl::AnyInvocable<void()>>> dropped;  // destroyed outside the lock
  MutexLock lock(mutex_);
  dropped.swap(callbacks_);
}

}  // namespace tapewire
