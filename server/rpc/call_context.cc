#include "server/rpc/call_context.h"

#include <utility>
#include <vector>

namespace tapewire::rpc {

void CallGate::Entry::leave() {
  if (gate_ != nullptr) std::exchange(gate_, nullptr)->leave(*this);
}

bool CallGate::enter(const Context& call, bool background, Entry& entry) {
  MutexLock lock(mutex_);
  if (draining_) return false;
  entry.self_ = calls_.insert(calls_.end(), call);
  entry.background_ = background;
  entry.gate_ = this;
  if (!background) ++foreground_;
  return true;
}

void CallGate::leave(const Entry& entry) {
  Context last;  // freed outside the lock
  MutexLock lock(mutex_);
  last = std::move(*entry.self_);
  calls_.erase(entry.self_);
  if (!entry.background_ && --foreground_ == 0) left_.notify_all();
}

void CallGate::drain() {
  std::vector<Context> calls;
  {
    MutexLock lock(mutex_);
    draining_ = true;
    calls.assign(calls_.begin(), calls_.end());
  }
  for (const Context& call : calls) call->drain();
}

bool CallGate::draining() const {
  MutexLock lock(mutex_);
  return draining_;
}

bool CallGate::wait_idle(CancelToken::Clock::time_point deadline) {
  MutexLock lock(mutex_);
  while (foreground_ > 0 && CancelToken::Clock::now() < deadline) left_.wait_until(mutex_, deadline);
  return foreground_ == 0;
}

void CallGate::cancel_all() {
  std::vector<Context> calls;
  {
    MutexLock lock(mutex_);
    cancelling_ = true;
    calls.assign(calls_.begin(), calls_.end());
  }
  for (const Context& call : calls) call->cancel()->cancel();
}

bool CallGate::cancelling() const {
  MutexLock lock(mutex_);
  return cancelling_;
}

}  // namespace tapewire::rpc
