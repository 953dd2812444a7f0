#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "core/base/mutex.h"
#include "server/hook/event.h"

namespace tapewire {

/// What becomes of events that a watcher is too slow for.
enum class SlowWatcher : uint8_t { kDropOldest, kFail };

/// The bounded queue between the compute thread that fires hooks and one stream that shows them. Thread-safe.
class Watcher {
 public:
  struct Options {
    std::set<std::string> hook_ids;  // empty: all of the model
    size_t buffer_events = 1024;
    SlowWatcher slow = SlowWatcher::kDropOldest;
  };
  struct Next {
    std::shared_ptr<const HookEvent> event;
    int64_t sequence = 0;  // of this watcher's events, from 1 on
    int64_t dropped = 0;   // so far
  };

  using News = std::function<void(const std::optional<absl::Status>& end)>;

  explicit Watcher(Options options) : options_(std::move(options)) {}

  bool wants(const std::string& hook_id) const {
    return options_.hook_ids.empty() || options_.hook_ids.contains(hook_id);
  }
  /// Adds an event; counts one in the return value for each that had to go instead.
  int64_t push(std::shared_ptr<const HookEvent> event) TW_EXCLUDES(mutex_);
  /// The oldest event, if there is one.
  std::optional<Next> pop() TW_EXCLUDES(mutex_);
  /// Ends the watch: nothing is added any more, pop gives what is left. Only the first call counts.
  void finish(absl::Status status) TW_EXCLUDES(mutex_);
  /// Why the watch ended, if it has.
  std::optional<absl::Status> finished() const TW_EXCLUDES(mutex_);
  /// Calls back, from any thread and outside the lock: without a status whenever there are events; with one, and for
  /// the last time, when the watch ended. At once if there is news already. The callback is let go at the end.
  void on_news(const News& callback) TW_EXCLUDES(mutex_);

 private:
  const Options options_;
  mutable Mutex mutex_;
  std::deque<Next> events_ TW_GUARDED_BY(mutex_);
  int64_t sequence_ TW_GUARDED_BY(mutex_) = 0;
  int64_t dropped_ TW_GUARDED_BY(mutex_) = 0;
  std::optional<absl::Status> end_ TW_GUARDED_BY(mutex_);
  News news_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
