#include "server/hook/watcher.h"

#include "core/base/strings.h"

namespace tapewire {

int64_t Watcher::push(std::shared_ptr<const HookEvent> event) {
  int64_t lost = 0;
  std::function<void()> news;
  {
    MutexLock lock(mutex_);
    if (end_) return 0;
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
    if (!end_) events_.push_back(std::move(event));
    news = news_;
  }
  if (news) news();
  return lost;
}

std::optional<Watcher::Next> Watcher::pop() {
  MutexLock lock(mutex_);
  if (events_.empty()) return std::nullopt;
  Next next{std::move(events_.front()), dropped_};
  events_.pop_front();
  return next;
}

void Watcher::finish(absl::Status status) {
  std::function<void()> news;
  {
    MutexLock lock(mutex_);
    if (end_) return;
    end_ = std::move(status);
    news = news_;
  }
  if (news) news();
}

std::optional<absl::Status> Watcher::finished() const {
  MutexLock lock(mutex_);
  return events_.empty() ? end_ : std::nullopt;
}

void Watcher::on_news(std::function<void()> callback) {
  MutexLock lock(mutex_);
  news_ = std::move(callback);
}

}  // namespace tapewire
