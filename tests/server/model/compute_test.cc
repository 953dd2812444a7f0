#include "server/model/compute.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "core/base/error.h"
#include "core/base/parallel_for.h"
#include "gmock/gmock.h"

namespace tapewire {
namespace {

using namespace std::chrono_literals;
using Clock = CancelToken::Clock;
using testing::ElementsAre;
using testing::HasSubstr;

// A gate that work waits at until a test opens it.
class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void await_arrivals(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }
  int arrived() {
    std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int arrived_ = 0;
};

const auto ignore = [](const auto&) {};

TEST(ComputePool, RunsWorkUnderItsTokenAndThreadsAndReturnsItsResult) {
  ComputePool pool({.permits = 3});
  std::promise<absl::StatusOr<int>> result;
  pool.submit({.permits = 2}, [] { return compute_threads(); }, [&](absl::StatusOr<int> r) { result.set_value(r); });
  const absl::StatusOr<int> threads = result.get_future().get();
  ASSERT_TRUE(threads.ok());
  EXPECT_EQ(*threads, 2);
}

TEST(ComputePool, WhatWorkThrowsBecomesItsStatus) {
  ComputePool pool({.permits = 1});
  std::promise<absl::Status> error, oom;
  pool.submit({}, [] { fail("fc1: no"); }, [&](absl::Status s) { error.set_value(s); });
  pool.submit({}, [] { throw std::bad_alloc(); }, [&](absl::Status s) { oom.set_value(s); });
  EXPECT_EQ(error.get_future().get(), absl::InvalidArgumentError("fc1: no"));
  EXPECT_EQ(oom.get_future().get().code(), absl::StatusCode::kResourceExhausted);
}

TEST(ComputePool, NeverMorePermitsOutThanThereAre) {
  constexpr int kPermits = 3;
  ComputePool pool({.permits = kPermits, .max_queue = 100000});
  std::atomic<int> in_use{0}, most{0}, done{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 300; ++i) {
        const int permits = 1 + (i + c) % kPermits;
        pool.submit(
            {.permits = permits},
            [&, permits] {
              const int now = in_use += permits;
              int seen = most;
              while (now > seen && !most.compare_exchange_weak(seen, now)) {
              }
              std::this_thread::yield();
              in_use -= permits;
            },
            [&](const absl::Status& s) { done += s.ok(); });
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(pool.drain(Clock::now() + 60s));
  EXPECT_EQ(done, 1200);
  EXPECT_LE(most, kPermits);
  EXPECT_GE(most, 2);
}

TEST(ComputePool, LargeJobIsNotOvertaken) {
  ComputePool pool({.permits = 2});
  Gate gate;
  std::mutex mutex;
  std::vector<std::string> order;
  const auto note = [&](std::string name) {
    std::lock_guard lock(mutex);
    order.push_back(std::move(name));
  };
  pool.submit({.permits = 1}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  pool.submit({.permits = 2}, [&] { note("large"); }, ignore);
  for (int i = 0; i < 5; ++i) pool.submit({.permits = 1}, [&] { note("small"); }, ignore);
  std::this_thread::sleep_for(20ms);
  {
    std::lock_guard lock(mutex);
    EXPECT_TRUE(order.empty());
  }
  gate.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  ASSERT_EQ(order.size(), 6u);
  EXPECT_EQ(order[0], "large");
}

TEST(ComputePool, MorePermitsThanThereAreIsAnError) {
  ComputePool pool({.permits = 2});
  absl::Status status;
  pool.submit({.permits = 3}, [] {}, [&](absl::Status s) { status = s; });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("expects 1 to 2"));
}

TEST(ComputePool, FullQueueIsResourceExhaustedAndNamesTheFlag) {
  ComputePool pool({.permits = 1, .max_queue = 2});
  Gate gate;
  pool.submit({}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  absl::Status status;
  for (int i = 0; i < 2; ++i) pool.submit({}, [] {}, ignore);
  pool.submit({}, [] {}, [&](absl::Status s) { status = s; });
  gate.open();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--max_queue"));
}

TEST(ComputePool, WaitingJobEndsAtOnceWhenCancelled) {
  ComputePool pool({.permits = 1});
  Gate gate;
  pool.submit({}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  auto cancel = std::make_shared<CancelSource>();
  absl::Status status;
  bool ran = false;
  pool.submit({.cancel = cancel}, [&] { ran = true; }, [&](absl::Status s) { status = s; });
  cancel->cancel();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  gate.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_FALSE(ran);
}

TEST(ComputePool, CancellingALargeJobAtTheFrontLetsSmallerOnesStart) {
  ComputePool pool({.permits = 2});
  Gate gate;
  pool.submit({}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  auto cancel = std::make_shared<CancelSource>();
  pool.submit({.permits = 2, .cancel = cancel}, [] {}, ignore);
  std::promise<void> small;
  pool.submit({}, [] {}, [&](const absl::Status&) { small.set_value(); });
  cancel->cancel();
  EXPECT_EQ(small.get_future().wait_for(10s), std::future_status::ready);
  gate.open();
}

TEST(ComputePool, JobCancelledBeforeItIsSubmittedDoesNotRun) {
  ComputePool pool({.permits = 1});
  auto cancel = std::make_shared<CancelSource>();
  cancel->cancel();
  absl::Status status;
  pool.submit({.cancel = cancel}, [] { FAIL(); }, [&](absl::Status s) { status = s; });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST(ComputePool, JobWhoseDeadlinePassedInTheQueueDoesNotRun) {
  ComputePool pool({.permits = 1});
  Gate gate;
  pool.submit({}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  std::promise<absl::Status> status;
  pool.submit(
      {.cancel = std::make_shared<CancelSource>(Clock::now() + 5ms)}, [] { FAIL(); },
      [&](absl::Status s) { status.set_value(s); });
  std::this_thread::sleep_for(10ms);
  gate.open();
  EXPECT_EQ(status.get_future().get().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(ComputePool, RunningWorkSeesItsCancellation) {
  ComputePool pool({.permits = 1});
  auto cancel = std::make_shared<CancelSource>();
  Gate gate;
  std::promise<absl::Status> status;
  pool.submit(
      {.cancel = cancel},
      [&] {
        gate.pass();
        check_cancelled();
      },
      [&](absl::Status s) { status.set_value(s); });
  gate.await_arrivals(1);
  cancel->cancel();
  gate.open();
  EXPECT_EQ(status.get_future().get().code(), absl::StatusCode::kCancelled);
}

TEST(ComputePool, ReleasedPermitsServeOthersUntilTheyAreTakenAgain) {
  ComputePool pool({.permits = 1});
  std::mutex mutex;
  std::vector<std::string> order;
  const auto note = [&](std::string name) {
    std::lock_guard lock(mutex);
    order.push_back(std::move(name));
  };
  Gate client;
  pool.submit(
      {},
      [&] {
        note("asks");
        {
          PermitRelease release;
          PermitRelease inner;  // nothing is left to release
          client.pass();
        }
        note("goes on");
      },
      ignore);
  client.await_arrivals(1);
  std::promise<void> other;
  pool.submit({}, [&] { note("other"); }, [&](const absl::Status&) { other.set_value(); });
  other.get_future().wait();
  client.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_THAT(order, ElementsAre("asks", "other", "goes on"));
}

TEST(ComputePool, PermitsAreTakenAgainBeforeNewJobsBegin) {
  ComputePool pool({.permits = 1});
  std::vector<std::string> order;  // written by one job at a time
  Gate client, blocker;
  pool.submit(
      {},
      [&] {
        {
          PermitRelease release;
          client.pass();
        }
        order.push_back("resumed");
      },
      ignore);
  client.await_arrivals(1);
  pool.submit({}, [&] { blocker.pass(); }, ignore);
  blocker.await_arrivals(1);
  for (int i = 0; i < 3; ++i) pool.submit({}, [&] { order.push_back("new"); }, ignore);
  client.open();
  std::this_thread::sleep_for(20ms);  // it waits for its permits now
  blocker.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_THAT(order, ElementsAre("resumed", "new", "new", "new"));
}

TEST(ComputePool, ReleaseOutsideAJobDoesNothing) { PermitRelease release; }

TEST(ComputePool, DrainRefusesNewWorkAndFinishesTheOld) {
  ComputePool pool({.permits = 1});
  std::atomic<int> done{0};
  for (int i = 0; i < 10; ++i) pool.submit({}, [] {}, [&](const absl::Status& s) { done += s.ok(); });
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_EQ(done, 10);
  absl::Status status;
  pool.submit({}, [] {}, [&](absl::Status s) { status = s; });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("draining"));
}

TEST(ComputePool, DrainCancelsWhatIsLeftAtItsDeadline) {
  ComputePool pool({.permits = 1});
  std::atomic<int> cancelled{0};
  const auto count = [&](const absl::Status& s) { cancelled += s.code() == absl::StatusCode::kCancelled; };
  pool.submit(
      {},
      [] {
        for (;;) {
          check_cancelled();
          std::this_thread::sleep_for(1ms);
        }
      },
      count);
  for (int i = 0; i < 3; ++i) pool.submit({}, [] {}, count);
  EXPECT_FALSE(pool.drain(Clock::now() + 20ms));
  EXPECT_EQ(cancelled, 4);
}

TEST(ComputePool, ReportsWaitsAndDepth) {
  std::atomic<int> waits{0}, depth{0};
  ComputePool pool(
      {.permits = 1, .observer = {[&](double seconds) { waits += seconds >= 0; }, [&](int delta) { depth += delta; }}});
  auto cancel = std::make_shared<CancelSource>();
  Gate gate;
  pool.submit({}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  pool.submit({.cancel = cancel}, [] {}, ignore);
  pool.submit({}, [] {}, ignore);
  EXPECT_EQ(depth, 2);
  cancel->cancel();
  EXPECT_EQ(depth, 1);
  gate.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_EQ(depth, 0);
  EXPECT_EQ(waits, 2);
}

TEST(ComputePool, CancellationRacesWithRunningWithoutLosingOrDoublingAJob) {
  ComputePool pool({.permits = 2, .max_queue = 1 << 20});
  constexpr int kJobs = 2000;
  std::atomic<int> done{0};
  std::vector<std::shared_ptr<CancelSource>> sources;
  for (int i = 0; i < kJobs; ++i) sources.push_back(std::make_shared<CancelSource>());
  std::thread canceller([&] {
    for (auto& source : sources) source->cancel();
  });
  for (int i = 0; i < kJobs; ++i) {
    pool.submit(
        {.permits = 1 + i % 2, .cancel = sources[static_cast<size_t>(i)]}, [] {}, [&](const absl::Status&) { ++done; });
  }
  canceller.join();
  pool.drain(Clock::now() + 60s);
  EXPECT_EQ(done, kJobs);
}

}  // namespace
}  // namespace tapewire
