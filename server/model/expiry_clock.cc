#include "server/model/expiry_clock.h"

#include <algorithm>

namespace tapewire {

ExpiryClock::ExpiryClock(std::function<std::optional<Clock::time_point>(Clock::time_point)> expire)
    : expire_(std::move(expire)), thread_([this] { loop(); }) {}

ExpiryClock::~ExpiryClock() { stop(); }

void ExpiryClock::wake_at(Clock::time_point time) {
  MutexLock lock(mutex_);
  if (next_ && *next_ <= time) return;
  next_ = time;
  changed_.notify_all();
}

void ExpiryClock::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void ExpiryClock::loop() {
  // Many leases that end one by one are let go together.
  constexpr auto kAtMostEvery = std::chrono::milliseconds(20);
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (!next_) {
      changed_.wait(mutex_);
    } else if (Clock::now() < *next_) {
      changed_.wait_until(mutex_, *next_);
    } else {
      next_.reset();
      lock.unlock();
      const Clock::time_point now = Clock::now();
      const std::optional<Clock::time_point> again = expire_(now);
      lock.lock();
      if (again && (!next_ || *again < *next_)) next_ = std::max(*again, now + kAtMostEvery);
    }
  }
}

}  // namespace tapewire
