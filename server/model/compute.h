#pragma once

#include <algorithm>
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

/// What a job is, which decides what it takes.
enum class JobKind : uint8_t {
  kChange,  // works on a model in its turn, with `permits` compute threads; 0 for what computes nothing
  kRead,    // reads a snapshot, with one thread, of a share that changes cannot take
  kBuild,   // builds a model, with a thread apart from the others, at a lower priority
};

/// What a job wants besides its turn.
struct JobOptions {
  JobKind kind = JobKind::kChange;
  int permits = 1;                                 // of kChange alone
  std::shared_ptr<CancelSource> cancel = nullptr;  // none: the job can only be cancelled by a drain
  // A turn that a read needs: goes before the changes that wait for the strand, and counts among its waiting reads.
  bool for_read = false;
  // The server's own: goes before the changes that wait, and counts for no limit.
  bool internal = false;
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

struct Job;

/// The jobs of one Strand that are not in the pool's hands, and what it counts. Belongs to the pool's mutex; name,
/// max_waiting and observer are constant.
struct StrandState {
  std::string name;  // stands first in the message of a full queue
  int64_t max_waiting = 0;
  QueueObserver observer;
  std::deque<std::shared_ptr<Job>> behind;  // changes and builds behind the one that is ready or runs
  std::deque<std::shared_ptr<Job>> reads;   // ready ones
  int64_t waiting_turns = 0;                // changes and builds that wait, ready ones included
  int64_t waiting_reads = 0;
  bool busy = false;  // a change or a build of this strand is ready or runs
  absl::Status closed;
  absl::AnyInvocable<void()> ended = nullptr;  // once it is closed and not busy
};

}  // namespace detail

/// The server's compute threads. Jobs come by way of strands (see Strand); what a job takes follows from its kind:
///
/// - A change takes its permits together; all changes that run hold at most Options::permits. Strands take turns, each
///   with one job. One that wants more permits than are free may be passed by smaller ones, for Options::patience.
/// - Reads have a share of threads beside these, and use permits beyond it that no change waits for. Strands take
///   turns with them.
/// - Builds have threads of their own, which the system runs when the others leave it time.
///
/// So the threads that run are at most permits + the reads' share + builds. Thread-safe.
class ComputePool {
 public:
  using Clock = CancelToken::Clock;

  struct Options {
    int permits = 1;
    int builds = 4;                                    // at once
    std::chrono::milliseconds patience{100};           // of a change that smaller ones pass
    std::chrono::milliseconds max_call{0};             // that a job without a deadline may run; 0: no limit
    const char* max_call_name = "max_call_seconds";  // for its error
  };

  explicit ComputePool(Options options);
  /// Cancels what waits and runs, and waits for it. REQUIRES: nobody else uses the pool or cancels its jobs any more.
  ~ComputePool();
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  int permits() const { return options_.permits; }
  /// Threads that reads have and changes cannot take.
  int read_share() const { return std::max(1, options_.permits / 2); }

  /// Jobs that want back what a PermitRelease gave away, and wait for it.
  size_t resuming() const TW_EXCLUDES(mutex_);

  /// Refuses new jobs with UNAVAILABLE and waits for the others; cancels those that are left at `deadline`, and waits
  /// for them. True when none was cancelled.
  bool drain(Clock::time_point deadline) TW_EXCLUDES(mutex_);

 private:
  friend class Strand;
  friend class PermitRelease;
  using Job = detail::Job;
  using JobPtr = std::shared_ptr<Job>;
  using StrandState = detail::StrandState;

  void add(const std::shared_ptr<StrandState>& strand, JobOptions options, JobBody body) TW_EXCLUDES(mutex_);
  /// Completes the strand's waiting jobs with `reason`, and refuses later ones with it. Then calls `ended`, when the
  /// change that runs, if one does, has ended.
  void close(StrandState& strand, const absl::Status& reason, absl::AnyInvocable<void()> ended) TW_EXCLUDES(mutex_);
  void give_back(JobKind kind, int permits) TW_EXCLUDES(mutex_);
  void take_again(JobKind kind, int permits) TW_EXCLUDES(mutex_);

  absl::Status admit(const Job& job) const TW_REQUIRES(mutex_);
  void enqueue(const JobPtr& job) TW_REQUIRES(mutex_);
  void make_ready(const JobPtr& job) TW_REQUIRES(mutex_);
  /// Permits that changes may take at this moment.
  int free_permits() const TW_REQUIRES(mutex_);
  bool fits(JobKind kind, int permits) const TW_REQUIRES(mutex_);
  /// The job that is to start now, taken out of its queue; null when there is none.
  JobPtr next_job() TW_REQUIRES(mutex_);
  JobPtr next_change() TW_REQUIRES(mutex_);
  JobPtr next_read() TW_REQUIRES(mutex_);
  JobPtr next_build() TW_REQUIRES(mutex_);
  void hold(JobKind kind, int permits) TW_REQUIRES(mutex_);
  /// Gets threads to look for jobs, after any change to the queues or to what is held.
  void wake() TW_REQUIRES(mutex_);
  void start_thread(bool builds) TW_REQUIRES(mutex_);
  void work_loop(bool builds) TW_EXCLUDES(mutex_);
  void run(Job& job);
  void advance(StrandState& strand) TW_REQUIRES(mutex_);
  bool withdraw(Job& job) TW_REQUIRES(mutex_);
  void cancel_waiting(const JobPtr& job) TW_EXCLUDES(mutex_);
  void refuse(Job& job, const absl::Status& reason) TW_EXCLUDES(mutex_);
  void forget(Job& job) TW_REQUIRES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  CondVar work_;                                  // a change or a read may be startable, or the pool ends
  CondVar build_work_;                            // the same of builds
  CondVar resumed_;                               // the first of resuming_ may have its permits
  CondVar empty_;                                 // no job is left
  int change_permits_ TW_GUARDED_BY(mutex_) = 0;  // held by changes
  int reads_ TW_GUARDED_BY(mutex_) = 0;           // that run
  int builds_ TW_GUARDED_BY(mutex_) = 0;          // that run
  int released_ TW_GUARDED_BY(mutex_) = 0;        // jobs that run and wait for a client
  int workers_ TW_GUARDED_BY(mutex_) = 0;         // threads for changes and reads
  int idle_ TW_GUARDED_BY(mutex_) = 0;            // of these, those that wait for work
  int idle_builders_ TW_GUARDED_BY(mutex_) = 0;
  bool accepting_ TW_GUARDED_BY(mutex_) = true;
  bool ending_ TW_GUARDED_BY(mutex_) = false;
  std::deque<JobPtr> ready_changes_ TW_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<StrandState>> readers_ TW_GUARDED_BY(mutex_);  // strands with ready reads, in turn
  std::deque<JobPtr> ready_builds_ TW_GUARDED_BY(mutex_);
  Clock::time_point passed_since_ TW_GUARDED_BY(mutex_);  // when the first of ready_changes_ could not start
  const Job* passed_ TW_GUARDED_BY(mutex_) = nullptr;     // that first one
  struct Resuming {
    const void* who;
    JobKind kind;
    int permits;
  };
  std::deque<Resuming> resuming_ TW_GUARDED_BY(mutex_);
  std::list<JobPtr> all_ TW_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ TW_GUARDED_BY(mutex_);
};

/// Gives back what the running job takes (its permits, or a read's thread) for a scope, in which it computes nothing
/// but waits for a client. At the end it has them again, before any job that has not begun. Outside a job, and in a
/// build, it does nothing.
class PermitRelease {
 public:
  PermitRelease();
  ~PermitRelease();
  PermitRelease(const PermitRelease&) = delete;
  PermitRelease& operator=(const PermitRelease&) = delete;

 private:
  ComputePool* pool_;
  JobKind kind_;
  int permits_;
};

}  // namespace tapewire
