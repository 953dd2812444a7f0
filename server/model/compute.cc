#include "server/model/compute.h"

#include <algorithm>
#include <system_error>

#include "core/base/parallel_for.h"
#include "core/base/strings.h"
#include "server/model/rejection.h"

namespace tapewire {
namespace detail {

struct Job {
  enum class Place { kNew, kBehind, kReady, kRunning, kDone };

  JobBody body;
  int permits = 1;
  std::shared_ptr<CancelSource> cancel;
  std::shared_ptr<StrandState> strand;  // none: a job on its own
  std::chrono::steady_clock::time_point queued;
  uint64_t cancel_id = 0;
  Place place = Place::kNew;                         // belongs to the pool's mutex, like self
  std::list<std::shared_ptr<Job>>::iterator self{};  // in the pool's list of all
};

namespace {
void report_depth(const Line& line, int delta) {
  if (line.observer.depth_changed) line.observer.depth_changed(delta);
}
}  // namespace
}  // namespace detail

using Place = detail::Job::Place;

namespace {
// The pool and the permits of the job that this thread runs; no permits while a PermitRelease holds.
thread_local ComputePool* current_pool = nullptr;
thread_local int current_permits = 0;
}  // namespace

ComputePool::ComputePool(Options options)
    : permits_(std::max(1, options.permits)),
      line_{"the server", options.max_queue, std::move(options.observer)},
      free_(permits_) {}

ComputePool::~ComputePool() {
  drain(CancelToken::Clock::now());
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    ending_ = true;
    threads.swap(threads_);
  }
  work_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

detail::Line& ComputePool::line_of(const Job& job) { return job.strand != nullptr ? job.strand->line : line_; }

absl::Status ComputePool::admit(const Job& job) const {
  if (!accepting_) return draining_status("the server takes no new work");
  if (job.permits < 1 || job.permits > permits_) {
    return absl::InvalidArgumentError(
        str_cat("compute_threads: expects 1 to ", permits_, " (the server's --compute_threads), got ", job.permits));
  }
  if (job.strand != nullptr && !job.strand->closed.ok()) return job.strand->closed;
  const detail::Line& line = job.strand != nullptr ? job.strand->line : line_;
  if (line.waiting >= line.max_waiting) {
    return limit_status("max_queue",
                        str_cat(line.name, ": ", line.waiting, " calls wait already, as many as --max_queue allows"));
  }
  return absl::OkStatus();
}

void ComputePool::add(const std::shared_ptr<StrandState>& strand, JobOptions options, JobBody body) {
  if (options.cancel == nullptr) options.cancel = std::make_shared<CancelSource>();
  auto job = std::make_shared<Job>();
  job->body = std::move(body);
  job->permits = options.permits;
  job->cancel = std::move(options.cancel);
  job->strand = strand;
  job->queued = std::chrono::steady_clock::now();
  job->cancel_id = job->cancel->on_cancel([this, weak = std::weak_ptr<Job>(job)] {
    if (const auto waiting = weak.lock()) cancel_waiting(waiting);
  });
  absl::Status admitted = job->cancel->status();
  if (admitted.ok()) {
    MutexLock lock(mutex_);
    admitted = job->place == Place::kNew ? admit(*job) : job->cancel->status();
    if (admitted.ok()) {
      job->self = all_.insert(all_.end(), job);
      ++line_of(*job).waiting;
      if (strand != nullptr && strand->busy) {
        job->place = Place::kBehind;
        strand->behind.push_back(job);
      } else {
        if (strand != nullptr) strand->busy = true;
        job->place = Place::kReady;
        ready_.push_back(job);
        wake();
      }
    } else {
      job->place = Place::kDone;
    }
  }
  if (!admitted.ok()) {
    job->cancel->forget(job->cancel_id);
    job->body(admitted);
    return;
  }
  detail::report_depth(strand != nullptr ? strand->line : line_, +1);
}

bool ComputePool::startable() const { return resuming_.empty() && !ready_.empty() && ready_.front()->permits <= free_; }

// Whoever frees permits or changes the front of a queue calls this; a woken worker calls it again for the next job.
void ComputePool::wake() {
  if (!resuming_.empty()) {
    resumed_.notify_all();
  } else if (startable()) {
    if (idle_ > 0) {
      work_.notify_one();
      return;
    }
    try {
      threads_.emplace_back([this] { work_loop(); });
      ++idle_;  // until it runs
    } catch (const std::system_error&) {
      // The other workers will come to it; without any there is no server.
      if (threads_.empty()) throw;
    }
  }
}

void ComputePool::work_loop() {
  MutexLock lock(mutex_);
  for (;;) {
    while (!startable() && !ending_) work_.wait(mutex_);
    if (!startable()) return;
    --idle_;
    const std::shared_ptr<Job> job = std::move(ready_.front());
    ready_.pop_front();
    free_ -= job->permits;
    job->place = Place::kRunning;
    --line_of(*job).waiting;
    wake();
    lock.unlock();
    run(*job);
    lock.lock();
    free_ += job->permits;
    absl::AnyInvocable<void()> ended;
    if (job->strand != nullptr) {
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
    ++idle_;
    if (!resuming_.empty()) resumed_.notify_all();  // else this thread goes on itself
  }
}

void ComputePool::run(Job& job) {
  job.cancel->forget(job.cancel_id);
  const detail::Line& line = job.strand != nullptr ? job.strand->line : line_;
  detail::report_depth(line, -1);
  if (line.observer.waited) {
    line.observer.waited(std::chrono::duration<double>(std::chrono::steady_clock::now() - job.queued).count());
  }
  CancelScope cancel(&job.cancel->token());
  ComputeThreadsScope threads(job.permits);
  current_pool = this;
  current_permits = job.permits;
  job.body(job.cancel->status());
  job.body = nullptr;  // what it held is freed before the next turn
  current_pool = nullptr;
  current_permits = 0;
}

void ComputePool::advance(StrandState& strand) {
  strand.busy = !strand.behind.empty();
  if (!strand.busy) return;
  std::shared_ptr<Job> next = std::move(strand.behind.front());
  strand.behind.pop_front();
  next->place = Place::kReady;
  ready_.push_back(std::move(next));
}

void ComputePool::forget(Job& job) {
  job.place = Place::kDone;
  const std::shared_ptr<Job> last = std::move(*job.self);
  all_.erase(job.self);
  if (all_.empty()) empty_.notify_all();
}

// Takes a job that waits out of its queue; false when it does not wait (any more). The caller then refuses it.
bool ComputePool::withdraw(Job& job) {
  const auto same = [&job](const std::shared_ptr<Job>& other) { return other.get() == &job; };
  if (job.place == Place::kBehind) {
    std::erase_if(job.strand->behind, same);
  } else if (job.place == Place::kReady) {
    std::erase_if(ready_, same);
    if (job.strand != nullptr) advance(*job.strand);
    wake();
  } else {
    return false;
  }
  job.place = Place::kDone;
  --line_of(job).waiting;
  return true;
}

// The body of a job that was withdrawn.
void ComputePool::refuse(Job& job, const absl::Status& reason) {
  job.cancel->forget(job.cancel_id);
  detail::report_depth(job.strand != nullptr ? job.strand->line : line_, -1);
  job.body(reason);
  job.body = nullptr;
  MutexLock lock(mutex_);
  forget(job);
}

void ComputePool::cancel_waiting(const std::shared_ptr<Job>& job) {
  {
    MutexLock lock(mutex_);
    if (job->place == Place::kNew) job->place = Place::kDone;  // add() sees it
    if (!withdraw(*job)) return;
  }
  const absl::Status reason = job->cancel->status();
  refuse(*job, reason.ok() ? absl::CancelledError("the call was cancelled") : reason);
}

void ComputePool::close(StrandState& strand, const absl::Status& reason, absl::AnyInvocable<void()> ended) {
  std::vector<std::shared_ptr<Job>> withdrawn;
  {
    MutexLock lock(mutex_);
    strand.closed = reason;
    for (const std::shared_ptr<Job>& job : all_) {
      if (job->strand.get() == &strand && job->place == Place::kBehind) withdrawn.push_back(job);
    }
    for (const std::shared_ptr<Job>& job : withdrawn) withdraw(*job);
    const auto ready =
        std::find_if(ready_.begin(), ready_.end(), [&](const auto& j) { return j->strand.get() == &strand; });
    if (ready != ready_.end()) {
      withdrawn.insert(withdrawn.begin(), *ready);
      withdraw(*withdrawn.front());
    }
    if (strand.busy) strand.ended = std::exchange(ended, nullptr);
  }
  for (const std::shared_ptr<Job>& job : withdrawn) refuse(*job, reason);
  if (ended) ended();
}

bool ComputePool::drain(CancelToken::Clock::time_point deadline) {
  std::vector<std::shared_ptr<CancelSource>> late;
  {
    MutexLock lock(mutex_);
    accepting_ = false;
    while (!all_.empty() && CancelToken::Clock::now() < deadline) empty_.wait_until(mutex_, deadline);
    for (const std::shared_ptr<Job>& job : all_) late.push_back(job->cancel);
  }
  for (const auto& cancel : late) cancel->cancel();
  MutexLock lock(mutex_);
  while (!all_.empty()) empty_.wait(mutex_);
  return late.empty();
}

void ComputePool::give_back(int permits) {
  MutexLock lock(mutex_);
  free_ += permits;
  wake();
}

void ComputePool::take_again(int permits) {
  const char self = 0;
  MutexLock lock(mutex_);
  resuming_.push_back(&self);
  while (resuming_.front() != &self || free_ < permits) resumed_.wait(mutex_);
  resuming_.pop_front();
  free_ -= permits;
  wake();
}

PermitRelease::PermitRelease() : pool_(current_pool), permits_(current_permits) {
  if (permits_ == 0) return;
  current_permits = 0;
  pool_->give_back(permits_);
}

PermitRelease::~PermitRelease() {
  if (permits_ == 0) return;
  pool_->take_again(permits_);
  current_permits = permits_;
}

}  // namespace tapewire
