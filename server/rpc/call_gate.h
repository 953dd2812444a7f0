#pragma once

#include <list>
#include <memory>

#include "core/base/mutex.h"
#include "server/rpc/call_context.h"

namespace tapewire::rpc {

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

}  // namespace tapewire::rpc
