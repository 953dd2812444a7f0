#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "core/base/mutex.h"
#include "server/model/cancel_source.h"
#include "server/model/caught.h"

namespace tapewire {

/// Hears how long jobs wait and how many do. Called from any thread, outside all locks; must not throw.
struct QueueObserver {
  std::function<void(double seconds)> waited = {};    // once a job begins
  std::function<void(int delta)> depth_changed = {};  // +1, -1
};

/// What a job wants besides its turn.
struct JobOptions {
  int permits = 1;
  std::shared_ptr<CancelSource> cancel = nullptr;  // none: the job can only be cancelled by a drain
};

/// A job as the queues see it. Called exactly once: with OK on a compute thread, or with the reason why it never ran on
/// whatever thread found that out. Must not throw.
using JobBody = absl::AnyInvocable<void(const absl::Status& admitted)>;

/// `work` and then `done(its result)`: done takes absl::StatusOr<R>, or absl::Status when work returns nothing. What
/// work throws comes to done as a status. done must not throw.
template <class Work, class Done>
JobBody make_job(Work work, Done done) {
  return [work = std::move(work), done = std::move(done)](const absl::Status& admitted) mutable {
    using Result = std::invoke_result_t<Work&>;
    if constexpr (std::is_void_v<Result>) {
      absl::Status status = admitted;
      if (status.ok()) {
        try {
          work();
        } catch (...) {
          status = caught_status();
        }
      }
      done(std::move(status));
    } else {
      const auto result = [&]() -> absl::StatusOr<Result> {
        if (!admitted.ok()) return admitted;
        try {
          return work();
        } catch (...) {
          return caught_status();
        }
      };
      done(result());
    }
  };
}

namespace detail {

/// A bounded waiting line. Its depth belongs to the pool's mutex, the rest is constant.
struct Line {
  std::string name;  // stands first in the message of a full line
  int64_t max_waiting;
  QueueObserver observer;
  int64_t waiting = 0;
};

struct Job;

/// A strand's jobs behind the one that is in the pool's hands. Belongs to the pool's mutex.
struct StrandState {
  Line line;
  std::deque<std::shared_ptr<Job>> behind;
  bool busy = false;  // one job of this strand is ready or runs
  absl::Status closed;
  absl::AnyInvocable<void()> ended = nullptr;  // once it is closed and not busy
};

}  // namespace detail

/// Compute threads as permits: as many kernels run at once as there are permits. A job takes all its permits together,
/// in the order of arrival, so that a large job is not overtaken for ever by small ones. Thread-safe.
class ComputePool {
 public:
  struct Options {
    int permits = 1;
    int64_t max_queue = 1024;  // jobs that wait without a strand
    QueueObserver observer = {};
  };

  explicit ComputePool(Options options);
  /// Cancels what waits and runs, and waits for it. REQUIRES: nobody else uses the pool or cancels its jobs any more.
  ~ComputePool();
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  int permits() const { return permits_; }

  /// Runs `work` on a compute thread, on no strand: for reads of a snapshot. See make_job.
  template <class Work, class Done>
  void submit(JobOptions options, Work work, Done done) {
    add(nullptr, std::move(options), make_job(std::move(work), std::move(done)));
  }

  /// Refuses new jobs with UNAVAILABLE and waits for the others; cancels those that are left at `deadline`, and waits
  /// for them. True when none was cancelled.
  bool drain(CancelToken::Clock::time_point deadline) TW_EXCLUDES(mutex_);

 private:
  friend class Strand;
  friend class PermitRelease;
  using Job = detail::Job;
  using StrandState = detail::StrandState;

  void add(const std::shared_ptr<StrandState>& strand, JobOptions options, JobBody body) TW_EXCLUDES(mutex_);
  /// Completes the strand's waiting jobs with `reason`, and refuses later ones with it. Then calls `ended`, when the
  /// job that runs, if one does, has ended.
  void close(StrandState& strand, const absl::Status& reason, absl::AnyInvocable<void()> ended) TW_EXCLUDES(mutex_);
  void give_back(int permits) TW_EXCLUDES(mutex_);
  void take_again(int permits) TW_EXCLUDES(mutex_);

  absl::Status admit(const Job& job) const TW_REQUIRES(mutex_);
  detail::Line& line_of(const Job& job) TW_REQUIRES(mutex_);
  void work_loop() TW_EXCLUDES(mutex_);
  void run(Job& job);
  bool startable() const TW_REQUIRES(mutex_);
  void wake() TW_REQUIRES(mutex_);
  void advance(StrandState& strand) TW_REQUIRES(mutex_);
  bool withdraw(Job& job) TW_REQUIRES(mutex_);
  void cancel_waiting(const std::shared_ptr<Job>& job) TW_EXCLUDES(mutex_);
  void refuse(Job& job, const absl::Status& reason) TW_EXCLUDES(mutex_);
  void forget(Job& job) TW_REQUIRES(mutex_);

  const int permits_;
  mutable Mutex mutex_;
  CondVar work_;     // a job may be startable, or the pool ends
  CondVar resumed_;  // the first of resuming_ may have its permits
  CondVar empty_;    // no job is left
  detail::Line line_;
  int free_ TW_GUARDED_BY(mutex_);
  int idle_ TW_GUARDED_BY(mutex_) = 0;
  bool accepting_ TW_GUARDED_BY(mutex_) = true;
  bool ending_ TW_GUARDED_BY(mutex_) = false;
  std::deque<std::shared_ptr<Job>> ready_ TW_GUARDED_BY(mutex_);
  std::deque<const void*> resuming_ TW_GUARDED_BY(mutex_);
  std::list<std::shared_ptr<Job>> all_ TW_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ TW_GUARDED_BY(mutex_);
};

/// Gives the running job's permits back for a scope, in which it computes nothing but waits for a client. At the end it
/// has them again, before any job that has not begun. Outside a job it does nothing.
class PermitRelease {
 public:
  PermitRelease();
  ~PermitRelease();
  PermitRelease(const PermitRelease&) = delete;
  PermitRelease& operator=(const PermitRelease&) = delete;

 private:
  ComputePool* pool_;
  int permits_;
};

}  // namespace tapewire
