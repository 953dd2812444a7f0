#include "server/hook/watcher.h"

#include "core/base/strings.h"

namespace tapewire {

int64_t Watcher::push(std::shared_ptr<const HookEvent> event) {
  int64_t lost = 0;
  News news;
  std::optional<absl::Status> end;
  {
    MutexLock lock(mutex_);
    if (end_) return 0;
    ++sequence_;
    if (events_.size() >= options_.buffer_events) {
      ++dropped_;
      lost = 1;
      if (options_.slow == SlowWatcher::kFail) {
        end_ = absl::ResourceExhaustedError(str_cat("the watcher is slower than the hooks: its buffer of ",
                                                    options_.buffer_events, " events is full (buffer_events)"));
      } else {
        events_.pop_front();
      }
    }
    end = end_;
    if (end) {
      news.swap(news_);
    } else {
      events_.push_back({std::move(event), sequence_});
      news = news_;
    }
  }
  if (news) news(end);
  return lost;
}

std::optional<Watcher::Next> Watcher::pop() {
  MutexLock lock(mutex_);
  if (events_.empty()) return std::nullopt;
  Next next = std::move(events_.front());
  events_.pop_front();
  next.dropped = dropped_;
  return next;
}

void Watcher::finish(absl::Status status) {
  News news;
  {
    MutexLock lock(mutex_);
    if (end_) return;
    end_ = status;
    news.swap(news_);
  }
  if (news) news(std::move(status));
}

std::optional<absl::Status> Watcher::finished() const {
  MutexLock lock(mutex_);
  return end_;
}

void Watcher::on_news(const News& callback) {
  std::optional<absl::Status> end;
  {
    MutexLock lock(mutex_);
    end = end_;
    if (!end) news_ = callback;
    if (!end && events_.empty()) return;
  }
  callback(end);
}

}  // namespace tapewire
