#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "absl/status/status.h"
#include "core/base/mutex.h"
#include "server/hook/event.h"
#include "server/observe/model_metrics.h"

namespace tapewire {

class EventDispatcher;

/// What becomes of events that a watcher is too slow for.
enum class SlowWatcher : uint8_t { kDropOldest, kFail };

/// Events that a watcher did not get, by reason.
struct EventDrops {
  int64_t buffer_full = 0;  // it was too slow for its buffer
  int64_t memory = 0;       // there was no memory for the event, or it was needed elsewhere
  int64_t too_large = 0;    // for a message, even without the data of its tensors

  int64_t total() const { return buffer_full + memory + too_large; }
};

/// The bounded queue between the compute thread that fires hooks and one stream that shows them. Thread-safe. Events
/// leave it through the sink, on the dispatcher's thread, one for each ready().
class Watcher : public std::enable_shared_from_this<Watcher> {
 public:
  struct Options {
    std::unordered_set<std::string> hook_ids;  // empty: all of the model
    size_t buffer_events = 1024;
    int64_t buffer_bytes = int64_t{64} << 20;
    int64_t max_event_bytes = int64_t{4} << 20;  // of a message that the client takes
    int64_t all_bytes = int64_t{256} << 20;      // of events of all watchers, for the error when these were too many
    SlowWatcher slow = SlowWatcher::kDropOldest;
  };
  struct Next {
    std::shared_ptr<const HookEvent> event;
    int64_t sequence = 0;  // of this watcher's events, from 1 on
    EventDrops drops;      // so far
  };
  /// Where events go. Called one at a time, without locks; `finish` once, after the last event.
  struct Sink {
    std::function<void(const Next&)> send;
    std::function<void(const absl::Status&)> finish;
  };

  /// `dispatcher` outlives the watcher. Drops are counted in `metrics`.
  Watcher(Options options, std::shared_ptr<ModelMetrics> metrics, EventDispatcher& dispatcher)
      : options_(std::move(options)), metrics_(std::move(metrics)), dispatcher_(dispatcher) {}

  const Options& options() const { return options_; }
  bool wants(const std::string& hook_id) const {
    return options_.hook_ids.empty() || options_.hook_ids.contains(hook_id);
  }

  /// Adds an event; the oldest that no longer fit go, or the watch ends (kFail). Cheap: for the compute thread.
  void push(std::shared_ptr<const HookEvent> event) TW_EXCLUDES(mutex_);
  /// Counts an event that could not be had, as if it had been added and dropped; for want of memory it ends the watch,
  /// too (kFail).
  void miss(HookDrop reason) TW_EXCLUDES(mutex_);
  /// Lets the oldest waiting event go, if there is one; for want of memory it ends the watch, too (kFail).
  void drop_oldest(HookDrop reason) TW_EXCLUDES(mutex_);
  /// Of the events that wait.
  int64_t waiting_bytes() const TW_EXCLUDES(mutex_);
  /// The oldest event, if there is one.
  std::optional<Next> pop() TW_EXCLUDES(mutex_);
  /// Ends the watch: nothing is added any more, what waits is still given. Only the first call counts.
  void finish(const absl::Status& status) TW_EXCLUDES(mutex_);
  /// Why the watch ended, if it has.
  std::optional<absl::Status> finished() const TW_EXCLUDES(mutex_);

  /// Where the events go from now on. REQUIRES: called once.
  void attach(Sink sink) TW_EXCLUDES(mutex_);
  /// The sink may be given one event more. From any thread.
  void ready() TW_EXCLUDES(mutex_);
  /// Ends the watch, drops what waits and lets the sink go. A call of the sink may still be under way.
  void detach() TW_EXCLUDES(mutex_);

  // For the dispatcher ------------------------------------------------------------------------------------------------

  /// Of the event that deliver() would send; 0 when there is none.
  int64_t next_bytes() const TW_EXCLUDES(mutex_);
  /// Gives the sink an event or the end. REQUIRES: the watcher was scheduled.
  void deliver() TW_EXCLUDES(mutex_);

 private:
  struct Waiting {
    std::shared_ptr<const HookEvent> event;
    int64_t sequence = 0;
  };

  void count_drop(HookDrop reason) TW_REQUIRES(mutex_);
  Waiting take_front() TW_REQUIRES(mutex_);
  /// Whether that ended the watch and the caller must schedule it.
  bool end_if_out_of_memory(HookDrop reason) TW_REQUIRES(mutex_);
  /// Whether the caller must schedule the watcher, once it has let the mutex go.
  bool claim() TW_REQUIRES(mutex_);
  void schedule_if(bool claimed);

  const Options options_;
  const std::shared_ptr<ModelMetrics> metrics_;
  EventDispatcher& dispatcher_;
  mutable Mutex mutex_;
  std::deque<Waiting> events_ TW_GUARDED_BY(mutex_);
  int64_t bytes_ TW_GUARDED_BY(mutex_) = 0;  // of events_
  int64_t sequence_ TW_GUARDED_BY(mutex_) = 0;
  EventDrops drops_ TW_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ TW_GUARDED_BY(mutex_);
  std::shared_ptr<const Sink> sink_ TW_GUARDED_BY(mutex_);
  bool ready_ TW_GUARDED_BY(mutex_) = false;
  bool scheduled_ TW_GUARDED_BY(mutex_) = false;
};

}  // namespace tapewire
