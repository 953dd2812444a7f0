#include "server/hook/watcher.h"

#include <utility>
#include <vector>

#include "core/base/strings.h"
#include "server/hook/event_dispatcher.h"
#include "server/observe/rejection.h"

namespace tapewire {

void Watcher::push(std::shared_ptr<const HookEvent> event) {
  const int64_t bytes = event->memory.bytes();
  std::vector<Waiting> gone;  // let go after the lock
  bool claimed = false;
  {
    MutexLock lock(mutex_);
    if (end_) return;
    ++sequence_;
    const auto full = [&]() TW_REQUIRES(mutex_) {
      return events_.size() >= options_.buffer_events || (!events_.empty() && bytes_ + bytes > options_.buffer_bytes);
    };
    if (full() && options_.slow == SlowWatcher::kFail) {
      count_drop(HookDrop::kBufferFull);
      end_ = limit_status("watch_buffer_bytes",
                          str_cat("the watcher is slower than the hooks: ", events_.size(), " events of ", bytes_,
                                  " bytes wait, and its buffer takes ", options_.buffer_events, " (buffer_events) and ",
                                  options_.buffer_bytes, " bytes (--watch_buffer_bytes)"));
    } else {
      while (full()) {
        count_drop(HookDrop::kBufferFull);
        gone.push_back(take_front());
      }
      bytes_ += bytes;
      events_.push_back({std::move(event), sequence_});
    }
    claimed = claim();
  }
  schedule_if(claimed);
}

void Watcher::miss(HookDrop reason) {
  bool claimed = false;
  {
    MutexLock lock(mutex_);
    if (end_) return;
    ++sequence_;
    count_drop(reason);
    claimed = end_if_out_of_memory(reason);
  }
  schedule_if(claimed);
}

void Watcher::drop_oldest(HookDrop reason) {
  Waiting gone;  // let go after the lock
  bool claimed = false;
  {
    MutexLock lock(mutex_);
    if (events_.empty()) return;
    count_drop(reason);
    gone = take_front();
    claimed = end_if_out_of_memory(reason);
  }
  schedule_if(claimed);
}

bool Watcher::end_if_out_of_memory(HookDrop reason) {
  if (reason != HookDrop::kMemory || options_.slow != SlowWatcher::kFail || end_) return false;
  end_ = limit_status("watch_memory", str_cat("there is no memory for the events of all watchers (--watch_memory=",
                                              options_.all_bytes, "): this one lost ", drops_.memory));
  return claim();
}

int64_t Watcher::waiting_bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

std::optional<Watcher::Next> Watcher::pop() {
  MutexLock lock(mutex_);
  if (events_.empty()) return std::nullopt;
  Waiting front = take_front();
  return Next{std::move(front.event), front.sequence, drops_};
}

void Watcher::finish(const absl::Status& status) {
  bool claimed = false;
  {
    MutexLock lock(mutex_);
    if (end_) return;
    end_ = status;
    claimed = claim();
  }
  schedule_if(claimed);
}

std::optional<absl::Status> Watcher::finished() const {
  MutexLock lock(mutex_);
  return end_;
}

void Watcher::attach(Sink sink) {
  bool claimed = false;
  {
    MutexLock lock(mutex_);
    sink_ = std::make_shared<const Sink>(std::move(sink));
    claimed = claim();
  }
  schedule_if(claimed);
}

void Watcher::ready() {
  bool claimed = false;
  {
    MutexLock lock(mutex_);
    ready_ = true;
    claimed = claim();
  }
  schedule_if(claimed);
}

void Watcher::detach() {
  std::deque<Waiting> gone;
  std::shared_ptr<const Sink> sink;
  MutexLock lock(mutex_);
  if (!end_) end_ = absl::CancelledError("the watch was cancelled");
  gone.swap(events_);
  bytes_ = 0;
  sink.swap(sink_);
  lock.unlock();  // before either goes
}

int64_t Watcher::next_bytes() const {
  MutexLock lock(mutex_);
  return events_.empty() ? 0 : events_.front().event->memory.bytes();
}

void Watcher::deliver() {
  std::shared_ptr<const Sink> sink;
  std::optional<Next> next;
  std::optional<absl::Status> end;
  bool claimed = false;
  {
    MutexLock lock(mutex_);
    scheduled_ = false;
    if (ready_ && sink_ && !events_.empty()) {
      ready_ = false;
      Waiting front = take_front();
      next = Next{std::move(front.event), front.sequence, drops_};
      sink = sink_;
      claimed = claim();
    } else if (end_ && events_.empty()) {
      end = end_;
      sink.swap(sink_);
    }
  }
  if (sink && next) sink->send(*next);
  if (sink && end) sink->finish(*end);
  schedule_if(claimed);
}

void Watcher::count_drop(HookDrop reason) {
  switch (reason) {
    case HookDrop::kMemory:
      ++drops_.memory;
      break;
    case HookDrop::kTooLarge:
      ++drops_.too_large;
      break;
    default:
      ++drops_.buffer_full;
  }
  metrics_->add_hook_dropped(reason);
}

Watcher::Waiting Watcher::take_front() {
  Waiting front = std::move(events_.front());
  events_.pop_front();
  bytes_ -= front.event->memory.bytes();
  return front;
}

bool Watcher::claim() {
  const bool something = events_.empty() ? end_.has_value() : ready_;
  if (scheduled_ || !sink_ || !something) return false;
  scheduled_ = true;
  return true;
}

void Watcher::schedule_if(bool claimed) {
  if (claimed) dispatcher_.schedule(shared_from_this());
}

}  // namespace tapewire
