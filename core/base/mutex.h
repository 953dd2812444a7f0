#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// clang's thread-safety attributes (-Wthread-safety); nothing under other compilers.
#if defined(__clang__)
#define TW_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define TW_THREAD_ATTRIBUTE(x)
#endif
#define TW_CAPABILITY(x) TW_THREAD_ATTRIBUTE(capability(x))
#define TW_SCOPED_CAPABILITY TW_THREAD_ATTRIBUTE(scoped_lockable)
#define TW_GUARDED_BY(x) TW_THREAD_ATTRIBUTE(guarded_by(x))
#define TW_PT_GUARDED_BY(x) TW_THREAD_ATTRIBUTE(pt_guarded_by(x))
#define TW_REQUIRES(...) TW_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define TW_ACQUIRE(...) TW_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define TW_RELEASE(...) TW_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define TW_TRY_ACQUIRE(...) TW_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define TW_EXCLUDES(...) TW_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define TW_NO_THREAD_SAFETY_ANALYSIS TW_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace tapewire {

/// std::mutex with thread-safety annotations. absl::Mutex is not used: ThreadSanitizer misreads it as packaged.
class TW_CAPABILITY("mutex") Mutex {
 public:
  void lock() TW_ACQUIRE() { mutex_.lock(); }
  void unlock() TW_RELEASE() { mutex_.unlock(); }
  bool try_lock() TW_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

/// Holds a Mutex for a scope; unlock() and lock() let it go in between.
class TW_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) TW_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() TW_RELEASE() {
    if (held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() TW_RELEASE() {
    mutex_.unlock();
    held_ = false;
  }
  void lock() TW_ACQUIRE() {
    mutex_.lock();
    held_ = true;
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

/// A condition variable for Mutex. Every wait REQUIRES the mutex and may wake spuriously: loop over the condition.
class CondVar {
 public:
  void wait(Mutex& mutex) TW_REQUIRES(mutex) { condition_.wait(mutex); }
  /// False when `deadline` passed first.
  template <class Clock, class Duration>
  bool wait_until(Mutex& mutex, std::chrono::time_point<Clock, Duration> deadline) TW_REQUIRES(mutex) {
    return condition_.wait_until(mutex, deadline) == std::cv_status::no_timeout;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace tapewire
