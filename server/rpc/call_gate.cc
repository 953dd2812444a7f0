#include "server/rpc/call_gate.h"

#include <utility>
#include <vector>

namespace tapewire::rpc {

void CallGate::Stay::leave() {
  if (gate_ != nullptr) std::exchange(gate_, nullptr)->leave(*this);
}

bool CallGate::enter(const Context& call, bool background, Stay& stay) {
  MutexLock lock(mutex_);
  if (draining_) return false;
  stay.self_ = calls_.insert(calls_.end(), call);
  stay.background_ = background;
  stay.gate_ = this;
  if (!background) ++foreground_;
  return true;
}

void CallGate::leave(const Stay& stay) {
  Context last;  // freed outside the lock
  MutexLock lock(mutex_);
  last = std::move(*stay.self_);
  calls_.erase(stay.self_);
  if (!stay.background_ && --foreground_ == 0) left_.notify_all();
}

void CallGate::drain() {
  MutexLock lock(mutex_);
  draining_ = true;
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
