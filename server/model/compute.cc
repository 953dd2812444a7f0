#include "server/model/compute.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "core/base/parallel_for.h"
#include "core/base/strings.h"
#include "server/observe/rejection.h"

namespace tapewire {
namespace detail {

struct Job {
  enum class State { kNew, kBehind, kReady, kRunning, kDone };

  JobBody body;
  JobKind kind = JobKind::kChange;
  int permits = 1;
  bool for_read = false;
  bool internal = false;
  std::shared_ptr<CancelSource> cancel;
  std::shared_ptr<StrandState> strand;
  std::chrono::steady_clock::time_point queued;
  uint64_t cancel_id = 0;
  State state = State::kNew;                         // belongs to the pool's mutex, like self
  std::list<std::shared_ptr<Job>>::iterator self{};  // in the pool's list of all
};

namespace {

bool is_turn(const Job& job) { return job.kind != JobKind::kRead; }
bool counts_as_read(const Job& job) { return job.kind == JobKind::kRead || job.for_read; }

void report_depth(const Job& job, int delta) {
  if (!job.internal && job.strand->observer.depth_changed) job.strand->observer.depth_changed(delta);
}

void count_waiting(const Job& job, int delta) {
  if (job.internal) return;
  (counts_as_read(job) ? job.strand->waiting_reads : job.strand->waiting_turns) += delta;
}

}  // namespace
}  // namespace detail

using State = detail::Job::State;

namespace {

// The pool of the job that this thread runs, and what the job takes; no permits while a PermitRelease holds.
thread_local ComputePool* current_pool = nullptr;
thread_local JobKind current_kind = JobKind::kChange;
thread_local int current_permits = 0;

// A build must not slow down who trains or infers.
void lower_priority() {
  constexpr int kNice = 10;
  // A refusal leaves the thread as urgent as the others, no more.
  [[maybe_unused]] const int refused = setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
}

}  // namespace

ComputePool::ComputePool(Options options) : options_(options) {}

ComputePool::~ComputePool() {
  drain(Clock::now());
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    ending_ = true;
    threads.swap(threads_);
  }
  work_.notify_all();
  build_work_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

absl::Status ComputePool::admit(const Job& job) const {
  if (!accepting_) return draining_status("the server takes no new work");
  if (job.kind == JobKind::kChange && (job.permits < 0 || job.permits > options_.permits)) {
    return absl::InvalidArgumentError(str_cat("compute_threads: expects 1 to ", options_.permits,
                                              " (the server's --compute_threads), got ", job.permits));
  }
  const StrandState& strand = *job.strand;
  if (!strand.closed.ok()) return strand.closed;
  const int64_t waiting = detail::counts_as_read(job) ? strand.waiting_reads : strand.waiting_turns;
  if (!job.internal && waiting >= strand.max_waiting) {
    return limit_status("max_queue",
                        str_cat(strand.name, ": ", waiting, " calls wait already, as many as --max_queue allows"));
  }
  return absl::OkStatus();
}

void ComputePool::add(const std::shared_ptr<StrandState>& strand, JobOptions options, JobBody body) {
  if (options.cancel == nullptr) options.cancel = std::make_shared<CancelSource>();
  auto job = std::make_shared<Job>();
  job->body = std::move(body);
  job->kind = options.kind;
  job->permits = options.kind == JobKind::kChange ? options.permits : 1;
  job->for_read = options.for_read;
  job->internal = options.internal;
  job->cancel = std::move(options.cancel);
  job->strand = strand;
  job->queued = std::chrono::steady_clock::now();
  job->cancel_id = job->cancel->on_cancel([this, weak = std::weak_ptr<Job>(job)] {
    if (const auto waiting = weak.lock()) cancel_waiting(waiting);
  });
  absl::Status admitted = job->cancel->status();
  if (admitted.ok()) {
    MutexLock lock(mutex_);
    admitted = job->state == State::kNew ? admit(*job) : job->cancel->status();
    if (admitted.ok()) {
      enqueue(job);
    } else {
      job->state = State::kDone;
    }
  }
  if (!admitted.ok()) {
    job->cancel->forget(job->cancel_id);
    job->body(admitted);
    return;
  }
  detail::report_depth(*job, +1);
}

void ComputePool::enqueue(const JobPtr& job) {
  job->self = all_.insert(all_.end(), job);
  detail::count_waiting(*job, +1);
  StrandState& strand = *job->strand;
  if (detail::is_turn(*job) && strand.busy) {
    job->state = State::kBehind;
    if (job->internal || job->for_read) {
      strand.behind.push_front(job);
    } else {
      strand.behind.push_back(job);
    }
    return;
  }
  make_ready(job);
  wake();
}

void ComputePool::make_ready(const JobPtr& job) {
  job->state = State::kReady;
  StrandState& strand = *job->strand;
  switch (job->kind) {
    case JobKind::kChange:
      strand.busy = true;
      ready_changes_.push_back(job);
      break;
    case JobKind::kBuild:
      strand.busy = true;
      ready_builds_.push_back(job);
      break;
    case JobKind::kRead:
      strand.reads.push_back(job);
      if (strand.reads.size() == 1) readers_.push_back(job->strand);
      break;
  }
}

int ComputePool::free_permits() const {
  return options_.permits - change_permits_ - std::max(0, reads_ - read_share());
}

bool ComputePool::fits(JobKind kind, int permits) const {
  switch (kind) {
    case JobKind::kChange:
      return permits <= free_permits() || permits == 0;
    case JobKind::kRead:
      return reads_ < read_share() || (reads_ < options_.permits && free_permits() > 0);
    case JobKind::kBuild:
      return builds_ < options_.builds;
  }
  return false;
}

ComputePool::JobPtr ComputePool::next_change() {
  const auto take = [this](const std::deque<JobPtr>::iterator& at) TW_REQUIRES(mutex_) {
    JobPtr job = std::move(*at);
    ready_changes_.erase(at);
    if (job.get() == passed_) passed_ = nullptr;
    return job;
  };
  bool passing = true;
  for (auto at = ready_changes_.begin(); at != ready_changes_.end(); ++at) {
    const Job& job = **at;
    // What takes nothing takes nothing from anybody.
    if (job.permits == 0) return take(at);
    if (!resuming_.empty() || !passing) continue;
    if (fits(job.kind, job.permits)) return take(at);
    if (at != ready_changes_.begin()) continue;
    const Clock::time_point now = Clock::now();
    if (passed_ != &job) {
      passed_ = &job;
      passed_since_ = now;
    }
    passing = now - passed_since_ < options_.patience;
  }
  return nullptr;
}

ComputePool::JobPtr ComputePool::next_read() {
  if (readers_.empty() || !fits(JobKind::kRead, 1)) return nullptr;
  // Beyond their share reads leave the permits to changes that wait.
  const bool wanted = !resuming_.empty() || !ready_changes_.empty();
  if (reads_ >= read_share() && wanted) return nullptr;
  const std::shared_ptr<StrandState> strand = std::move(readers_.front());
  readers_.pop_front();
  JobPtr job = std::move(strand->reads.front());
  strand->reads.pop_front();
  if (!strand->reads.empty()) readers_.push_back(strand);
  return job;
}

ComputePool::JobPtr ComputePool::next_build() {
  if (ready_builds_.empty() || !fits(JobKind::kBuild, 1)) return nullptr;
  JobPtr job = std::move(ready_builds_.front());
  ready_builds_.pop_front();
  return job;
}

ComputePool::JobPtr ComputePool::next_job() {
  if (JobPtr read = next_read()) return read;
  return next_change();
}

void ComputePool::hold(JobKind kind, int permits) {
  switch (kind) {
    case JobKind::kChange:
      change_permits_ += permits;
      break;
    case JobKind::kRead:
      reads_ += permits;
      break;
    case JobKind::kBuild:
      builds_ += permits;
      break;
  }
}

void ComputePool::start_thread(bool builds) {
  int& idle = builds ? idle_builders_ : idle_;
  try {
    threads_.emplace_back([this, builds] { work_loop(builds); });
    ++idle;  // until it takes a job
    if (!builds) ++workers_;
  } catch (const std::system_error&) {
    // The other threads will come to it; without any there is no server.
    if (threads_.empty()) throw;
  }
}

size_t ComputePool::resuming() const {
  MutexLock lock(mutex_);
  return resuming_.size();
}

// A thread that is woken takes a job, and calls this again for the next.
void ComputePool::wake() {
  if (!resuming_.empty()) resumed_.notify_all();
  if (!ready_changes_.empty() || !readers_.empty()) {
    // Enough for all that may compute, and a few for changes that do not.
    constexpr int kBeside = 4;
    if (idle_ == 0 && workers_ < options_.permits + read_share() + kBeside + released_) start_thread(false);
    work_.notify_one();
  }
  if (!ready_builds_.empty() && fits(JobKind::kBuild, 1)) {
    if (idle_builders_ == 0) start_thread(true);
    build_work_.notify_one();
  }
}

void ComputePool::work_loop(bool builds) {
  if (builds) lower_priority();
  int& idle = builds ? idle_builders_ : idle_;
  CondVar& news = builds ? build_work_ : work_;
  MutexLock lock(mutex_);
  for (;;) {
    JobPtr job = builds ? next_build() : next_job();
    if (job == nullptr) {
      if (ending_) return;
      news.wait(mutex_);
      continue;
    }
    --idle;
    hold(job->kind, job->permits);
    job->state = State::kRunning;
    detail::count_waiting(*job, -1);
    wake();
    lock.unlock();
    run(*job);
    lock.lock();
    hold(job->kind, -job->permits);
    absl::AnyInvocable<void()> ended;
    if (detail::is_turn(*job)) {
      advance(*job->strand);
      if (!job->strand->busy) ended = std::exchange(job->strand->ended, nullptr);
    }
    forget(*job);
    if (ended) {
      lock.unlock();
      ended();
      ended = nullptr;
      lock.lock();
    }
    job = nullptr;
    ++idle;
    wake();
  }
}

void ComputePool::run(Job& job) {
  job.cancel->forget(job.cancel_id);
  detail::report_depth(job, -1);
  if (!job.internal && job.strand->observer.waited) {
    job.strand->observer.waited(std::chrono::duration<double>(std::chrono::steady_clock::now() - job.queued).count());
  }
  const CancelToken& own = job.cancel->token();
  const bool limited = options_.max_call.count() > 0 && own.deadline() == Clock::time_point::max();
  const CancelToken token(own, limited ? Clock::now() + options_.max_call : Clock::time_point::max(),
                          {options_.max_call_name, options_.max_call});
  CancelScope cancel(&token);
  ComputeThreadsScope threads(std::max(1, job.permits));
  current_pool = this;
  current_kind = job.kind;
  current_permits = job.kind == JobKind::kBuild ? 0 : job.permits;
  job.body(job.cancel->status());
  job.body = nullptr;  // what it held is freed before the next turn
  current_pool = nullptr;
  current_permits = 0;
}

void ComputePool::advance(StrandState& strand) {
  strand.busy = !strand.behind.empty();
  if (!strand.busy) return;
  const JobPtr next = std::move(strand.behind.front());
  strand.behind.pop_front();
  make_ready(next);
}

void ComputePool::forget(Job& job) {
  job.state = State::kDone;
  const JobPtr last = std::move(*job.self);
  all_.erase(job.self);
  if (all_.empty()) empty_.notify_all();
}

// Takes a job that waits out of its queue; false when it does not wait (any more). The caller then refuses it.
bool ComputePool::withdraw(Job& job) {
  const auto same = [&job](const JobPtr& other) { return other.get() == &job; };
  StrandState& strand = *job.strand;
  if (job.state == State::kBehind) {
    std::erase_if(strand.behind, same);
  } else if (job.state == State::kReady && job.kind == JobKind::kRead) {
    std::erase_if(strand.reads, same);
    if (strand.reads.empty()) std::erase(readers_, job.strand);
  } else if (job.state == State::kReady) {
    std::erase_if(job.kind == JobKind::kBuild ? ready_builds_ : ready_changes_, same);
    if (passed_ == &job) passed_ = nullptr;
    advance(strand);
    wake();
  } else {
    return false;
  }
  job.state = State::kDone;
  detail::count_waiting(job, -1);
  return true;
}

// The body of a job that was withdrawn.
void ComputePool::refuse(Job& job, const absl::Status& reason) {
  job.cancel->forget(job.cancel_id);
  detail::report_depth(job, -1);
  job.body(reason);
  job.body = nullptr;
  MutexLock lock(mutex_);
  forget(job);
}

void ComputePool::cancel_waiting(const JobPtr& job) {
  {
    MutexLock lock(mutex_);
    if (job->state == State::kNew) job->state = State::kDone;  // add() sees it
    if (!withdraw(*job)) return;
  }
  const absl::Status reason = job->cancel->status();
  refuse(*job, reason.ok() ? absl::CancelledError("the call was cancelled") : reason);
}

void ComputePool::close(StrandState& strand, const absl::Status& reason, absl::AnyInvocable<void()> ended) {
  std::vector<JobPtr> withdrawn;
  {
    MutexLock lock(mutex_);
    strand.closed = reason;
    // The one that is ready comes last: to withdraw it makes the next one ready, if there is one left.
    withdrawn.assign(strand.behind.begin(), strand.behind.end());
    withdrawn.insert(withdrawn.end(), strand.reads.begin(), strand.reads.end());
    for (const auto* ready : {&ready_changes_, &ready_builds_}) {
      for (const JobPtr& job : *ready) {
        if (job->strand.get() == &strand) withdrawn.push_back(job);
      }
    }
    for (const JobPtr& job : withdrawn) withdraw(*job);
    if (strand.busy) strand.ended = std::exchange(ended, nullptr);
  }
  for (const JobPtr& job : withdrawn) refuse(*job, reason);
  if (ended) ended();
}

bool ComputePool::drain(Clock::time_point deadline) {
  std::vector<std::shared_ptr<CancelSource>> late;
  {
    MutexLock lock(mutex_);
    accepting_ = false;
    while (!all_.empty() && Clock::now() < deadline) empty_.wait_until(mutex_, deadline);
    for (const JobPtr& job : all_) late.push_back(job->cancel);
  }
  for (const auto& cancel : late) cancel->cancel();
  MutexLock lock(mutex_);
  while (!all_.empty()) empty_.wait(mutex_);
  return late.empty();
}

void ComputePool::give_back(JobKind kind, int permits) {
  MutexLock lock(mutex_);
  hold(kind, -permits);
  ++released_;
  wake();
}

void ComputePool::take_again(JobKind kind, int permits) {
  const char self = 0;
  MutexLock lock(mutex_);
  resuming_.push_back({&self, kind, permits});
  while (resuming_.front().who != &self || !fits(kind, permits)) resumed_.wait(mutex_);
  resuming_.pop_front();
  --released_;
  hold(kind, permits);
  wake();
}

PermitRelease::PermitRelease() : pool_(current_pool), kind_(current_kind), permits_(current_permits) {
  if (permits_ == 0) return;
  current_permits = 0;
  pool_->give_back(kind_, permits_);
}

PermitRelease::~PermitRelease() {
  if (permits_ == 0) return;
  pool_->take_again(kind_, permits_);
  current_permits = permits_;
}

}  // namespace tapewire
