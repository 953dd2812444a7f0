#include "core/base/parallel_for.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/mutex.h"

namespace tapewire {
namespace {

thread_local int thread_count = 1;

// One call of parallel_for: its ranges are taken in turn by the caller and by helpers, all under the caller's token.
class Job {
 public:
  Job(int64_t size, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> body)
      : size_(size), grain_(grain), chunks_((size + grain - 1) / grain), body_(body), token_(current_cancel_token()) {}

  void work() TW_EXCLUDES(mutex_) {
    ComputeThreadsScope inline_inside(1);
    CancelScope cancel(token_);
    for (;;) {
      const int64_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks_) return;
      try {
        check_cancelled();
        body_(chunk * grain_, std::min(size_, (chunk + 1) * grain_));
      } catch (...) {
        next_.store(chunks_, std::memory_order_relaxed);  // no further range begins
        MutexLock lock(mutex_);
        if (!error_) error_ = std::current_exception();
        return;
      }
    }
  }

  void join(int helpers) TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    expected_ += helpers;
  }
  void leave() TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (--expected_ == 0) done_.notify_all();
  }
  void wait() TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    while (expected_ > 0) done_.wait(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const int64_t size_;
  const int64_t grain_;
  const int64_t chunks_;
  absl::FunctionRef<void(int64_t, int64_t)> body_;
  const CancelToken* const token_;
  std::atomic<int64_t> next_{0};
  Mutex mutex_;
  CondVar done_;
  int expected_ TW_GUARDED_BY(mutex_) = 0;
  std::exception_ptr error_ TW_GUARDED_BY(mutex_);
};

// Helper threads, made on first need and kept; as many as were ever asked for at once. The number is bounded by the
// permits that callers hold, not here.
class Helpers {
 public:
  static Helpers& instance() {
    static Helpers helpers;
    return helpers;
  }

  void run(Job& job, int count) {
    job.join(count);
    {
      MutexLock lock(mutex_);
      for (int i = 0; i < count; ++i) queue_.push_back(&job);
      while (idle_ < static_cast<int>(queue_.size())) {
        threads_.emplace_back([this] { loop(); });
        ++idle_;
      }
    }
    wake_.notify_all();
    job.work();
    take_back(job);
    job.wait();
  }

  ~Helpers() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  // A helper that has not begun by the time the caller is done would only find no work: do not wait for it.
  void take_back(Job& job) {
    int64_t taken = 0;
    {
      MutexLock lock(mutex_);
      taken = std::erase(queue_, &job);
    }
    for (; taken > 0; --taken) job.leave();
  }

  void loop() {
    MutexLock lock(mutex_);
    for (;;) {
      while (queue_.empty() && !stopping_) wake_.wait(mutex_);
      if (queue_.empty()) return;
      Job* job = queue_.back();
      queue_.pop_back();
      --idle_;
      lock.unlock();
      job->work();
      job->leave();
      lock.lock();
      ++idle_;
    }
  }

  Mutex mutex_;
  CondVar wake_;
  std::vector<Job*> queue_ TW_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
  int idle_ TW_GUARDED_BY(mutex_) = 0;
  bool stopping_ TW_GUARDED_BY(mutex_) = false;
};

}  // namespace

int compute_threads() { return thread_count; }

ComputeThreadsScope::ComputeThreadsScope(int count) : previous_(thread_count) { thread_count = count; }
ComputeThreadsScope::~ComputeThreadsScope() { thread_count = previous_; }

void parallel_for(int64_t size, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> body) {
  if (size <= 0) return;
  const int64_t chunks = (size + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<int64_t>(thread_count, chunks));
  if (threads <= 1) {
    for (int64_t begin = 0; begin < size; begin += grain) {
      check_cancelled();
      body(begin, std::min(size, begin + grain));
    }
    return;
  }
  Job job(size, grain, body);
  Helpers::instance().run(job, threads - 1);
}

}  // namespace tapewire
