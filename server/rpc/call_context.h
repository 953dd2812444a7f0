#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/mutex.h"
#include "server/model/cancel_source.h"

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

}  // namespace tapewire::rpc
