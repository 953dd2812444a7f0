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
    int64_t dropped = 0;  // so far
  };

  explicit Watcher(Options options) : options_(std::move(options)) {}

  bool wants(const std::string& hook_id) const {
    return options_.hook_ids.empty() || options_.hook_ids.contains(hook_id);
  }
  /// Adds an event; counts one in the return value for each that had to go instead.
  int64_t push(std::shared_ptr<const HookEvent> event) TW_EXCLUDES(mutex_);
  /// The oldest event, if there is one.
  std::optional<Next> pop() TW_EXCLUDES(mutex_);
  /// Ends the watch: pop gives what is left, and then finished() says why. Only the first call counts.
  void finish(absl::Status status) TW_EXCLUDES(mutex_);
  /// Why the watch ended, once no event is left.
  std::optional<absl::Status> finished() const TW_EXCLUDES(mutex_);
  /// Called, from any thread and outside the lock, whenever pop or finished may have news. Set once, before use.
  void on_news(std::function<void()> callback) TW_EXCLUDES(mutex_);

 private:
  const Options options_;
  mutable Mutex mutex_;
  std::deque<std::shared_ptr<const HookEvent>> events_ TW_GUARDED_BY(mutex_);
  int64_t dropped_ TW_GUARDED_BY(mutex_) = 0;
  std::optional<absl::Status> end_ TW_GUARDED_BY(mutex_);
  std::function<void()> news_ TW_GUARDED_BY(mutex_);
};

}  // namespace tapewire
