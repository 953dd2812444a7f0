#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/mutex.h"
#include "server/model/cancel_source.h"
#include "server/observe/log.h"
#include "server/observe/metrics.h"
#include "server/rpc/wire_limits.h"

namespace tapewire::rpc {

/// A call, as its handler sees it. Lives as long as somebody works for it. Thread-safe.
class CallContext {
 public:
  /// `method` outlives the call. `request_id` is told to the client and stands in the call's log line.
  CallContext(std::string_view method, std::string peer, CancelToken::Clock::time_point deadline,
              std::string request_id = "")
      : method_(method),
        peer_(std::move(peer)),
        request_id_(std::move(request_id)),
        cancel_(std::make_shared<CancelSource>(deadline)) {}

  /// "tapewire.v1.ModelService/CreateModel".
  std::string_view method() const { return method_; }
  /// The client's address, as gRPC writes it: "ipv4:127.0.0.1:40000".
  const std::string& peer() const { return peer_; }
  const std::string& request_id() const { return request_id_; }
  /// Cancelled when the client goes away or cancels, when its deadline passes, and when the server stops.
  const std::shared_ptr<CancelSource>& cancel() const { return cancel_; }

  /// `callback` runs when the server begins to drain, or now when it has. At most one. It must not throw.
  void on_drain(std::function<void()> callback) TW_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      if (!draining_) {
        on_drain_ = std::move(callback);
        return;
      }
    }
    callback();
  }
  /// The server begins to drain.
  void drain() TW_EXCLUDES(mutex_) {
    std::function<void()> callback;
    {
      MutexLock lock(mutex_);
      draining_ = true;
      callback.swap(on_drain_);
    }
    if (callback) callback();
  }
  /// The call is over: nobody hears of its cancellation or of a drain any more.
  void leave() TW_EXCLUDES(mutex_) {
    cancel_->forget_all();
    std::function<void()> dropped;  // destroyed outside of the lock
    MutexLock lock(mutex_);
    dropped.swap(on_drain_);
  }

  struct Note {
    std::string_view key;
    std::variant<std::string, int64_t, double> value;
  };
  static constexpr size_t kMaxNotes = 16;
  static constexpr size_t kMaxNoteBytes = 256;

  /// A field of the call's log line: note("model", name), note("queue_seconds", 0.25). `key` is a literal. The first
  /// kMaxNotes count; a text is cut after kMaxNoteBytes.
  void note(std::string_view key, std::string_view value) TW_EXCLUDES(mutex_) {
    add({key, std::string(value.substr(0, kMaxNoteBytes))});
  }
  void note(std::string_view key, int64_t value) TW_EXCLUDES(mutex_) { add({key, value}); }
  void note(std::string_view key, double value) TW_EXCLUDES(mutex_) { add({key, value}); }
  std::vector<Note> notes() const TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return notes_;
  }

  /// What an operator should hear of if the call succeeds, as the log's event: announce("model created"). A literal.
  void announce(std::string_view event) TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    event_ = event;
  }
  /// Empty unless announced.
  std::string_view event() const TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return event_;
  }

 private:
  void add(Note note) TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (notes_.size() < kMaxNotes) notes_.push_back(std::move(note));
  }

  std::string_view method_;
  std::string peer_;
  std::string request_id_;
  std::shared_ptr<CancelSource> cancel_;
  mutable Mutex mutex_;
  std::vector<Note> notes_ TW_GUARDED_BY(mutex_);
  std::string_view event_ TW_GUARDED_BY(mutex_);
  bool draining_ TW_GUARDED_BY(mutex_) = false;
  std::function<void()> on_drain_ TW_GUARDED_BY(mutex_);
};

using Context = std::shared_ptr<CallContext>;

/// Lets calls in and knows those that are here, so that the server can stop without breaking them off. Thread-safe.
class CallGate {
 public:
  /// A call that was let in; it leaves when this is destroyed. Empty: it was not let in.
  class Entry {
   public:
    Entry() = default;
    ~Entry() { leave(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    /// Leaves now.
    void leave();
    explicit operator bool() const { return gate_ != nullptr; }

   private:
    friend class CallGate;
    CallGate* gate_ = nullptr;
    bool background_ = false;
    std::list<Context>::iterator self_;
  };

  /// False while draining. A `background` call (one that watches) keeps no drain waiting.
  bool enter(const Context& call, bool background, Entry& entry) TW_EXCLUDES(mutex_);

  /// Lets nobody in any more.
  void drain() TW_EXCLUDES(mutex_);
  bool draining() const TW_EXCLUDES(mutex_);
  /// Waits until only background calls are here; false when `deadline` passes first.
  bool wait_idle(CancelToken::Clock::time_point deadline) TW_EXCLUDES(mutex_);
  /// Cancels every call that is here; from now on a cancelled call's status is UNAVAILABLE. REQUIRES: draining.
  void cancel_all() TW_EXCLUDES(mutex_);
  bool cancelling() const TW_EXCLUDES(mutex_);

 private:
  void leave(const Entry& entry) TW_EXCLUDES(mutex_);

  mutable Mutex mutex_;
  CondVar left_;
  std::list<Context> calls_ TW_GUARDED_BY(mutex_);
  int foreground_ TW_GUARDED_BY(mutex_) = 0;
  bool draining_ TW_GUARDED_BY(mutex_) = false;
  bool cancelling_ TW_GUARDED_BY(mutex_) = false;
};

/// What calls share: where they are counted and logged, who lets them in, how large they may be. Outlives all calls.
struct Environment {
  Metrics& metrics;
  Logger& logger;
  CallGate& gate;
  WireLimits limits;
  std::chrono::nanoseconds slow_call = std::chrono::seconds(5);  // from here on a unary call is logged
};

}  // namespace tapewire::rpc
