#include "server/hook/event_dispatcher.h"

#include <algorithm>
#include <utility>

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

namespace tapewire {
namespace {

// Less than threads that compute, but not so little that it holds a lock for long while they want it.
constexpr int kNice = 10;
// What an idle while saves up.
constexpr std::chrono::milliseconds kBurst(20);

}  // namespace

EventDispatcher::EventDispatcher(int64_t bytes_per_second)
    : bytes_per_second_(bytes_per_second), thread_([this] { run(); }) {}

EventDispatcher::~EventDispatcher() { stop(); }

void EventDispatcher::stop() {
  std::deque<std::shared_ptr<Watcher>> ready, held;  // let go after the lock
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  MutexLock lock(mutex_);
  ready.swap(ready_);
  held.swap(held_);
}

void EventDispatcher::schedule(std::shared_ptr<Watcher> watcher) {
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    ready_.push_back(std::move(watcher));
  }
  changed_.notify_one();
}

void EventDispatcher::run() {
  pthread_setname_np(pthread_self(), "hook-events");
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);  // of this thread; best effort
  bool waited_for_rate = false;
  while (const std::shared_ptr<Watcher> watcher = next(waited_for_rate)) {
    const int64_t bytes = watcher->next_bytes();
    if (bytes >= kLargeEvent && !waited_for_rate && Clock::now() < open_at_) {
      MutexLock lock(mutex_);
      held_.push_back(watcher);
      continue;
    }
    spend(bytes);
    watcher->deliver();
  }
}

std::shared_ptr<Watcher> EventDispatcher::next(bool& waited_for_rate) {
  MutexLock lock(mutex_);
  for (;;) {
    if (stopping_) return nullptr;
    waited_for_rate = !held_.empty() && Clock::now() >= open_at_;
    auto& from = waited_for_rate ? held_ : ready_;
    if (!from.empty()) {
      std::shared_ptr<Watcher> watcher = std::move(from.front());
      from.pop_front();
      return watcher;
    }
    if (held_.empty()) {
      changed_.wait(mutex_);
    } else {
      changed_.wait_until(mutex_, open_at_);
    }
  }
}

void EventDispatcher::spend(int64_t bytes) {
  if (bytes_per_second_ == 0) return;
  const std::chrono::duration<double> cost(static_cast<double>(bytes) / static_cast<double>(bytes_per_second_));
  open_at_ = std::max(open_at_, Clock::now() - kBurst) + std::chrono::duration_cast<Clock::duration>(cost);
}

}  // namespace tapewire
