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
#include "server/model/strand.h"
#include "server/observe/rejection.h"
#include "tests/wait.h"

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

// A job of a strand of its own.
template <class Work, class Done>
void submit(ComputePool& pool, JobOptions options, Work work, Done done) {
  Strand(pool, {.name = "the test", .max_queue = 1 << 20}).submit(std::move(options), std::move(work), std::move(done));
}

TEST(ComputePool, RunsWorkUnderItsTokenAndThreadsAndReturnsItsResult) {
  ComputePool pool({.permits = 3});
  std::promise<absl::StatusOr<int>> result;
  submit(pool, {.permits = 2}, [] { return compute_threads(); }, [&](absl::StatusOr<int> r) { result.set_value(r); });
  const absl::StatusOr<int> threads = result.get_future().get();
  ASSERT_TRUE(threads.ok());
  EXPECT_EQ(*threads, 2);
}

TEST(ComputePool, WhatWorkThrowsBecomesItsStatus) {
  ComputePool pool({.permits = 1});
  std::promise<absl::Status> error, oom;
  submit(pool, {}, [] { fail("fc1: no"); }, [&](absl::Status s) { error.set_value(s); });
  submit(pool, {}, [] { throw std::bad_alloc(); }, [&](absl::Status s) { oom.set_value(s); });
  EXPECT_EQ(error.get_future().get(), absl::InvalidArgumentError("fc1: no"));
  EXPECT_EQ(oom.get_future().get().code(), absl::StatusCode::kResourceExhausted);
}

TEST(ComputePool, NeverMorePermitsOutThanThereAre) {
  constexpr int kPermits = 3;
  ComputePool pool({.permits = kPermits});
  std::atomic<int> in_use{0}, most{0}, done{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 300; ++i) {
        const int permits = 1 + (i + c) % kPermits;
        submit(
            pool, {.permits = permits},
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

// A large job that cannot start, and small ones behind it: the order in which they ran.
std::vector<std::string> order_behind_a_large_job(std::chrono::milliseconds patience, bool small_ones_first) {
  ComputePool pool({.permits = 2, .patience = patience});
  Gate gate;
  std::mutex mutex;
  std::vector<std::string> order;
  const auto note = [&](std::string name) {
    std::lock_guard lock(mutex);
    order.push_back(std::move(name));
  };
  submit(pool, {.permits = 1}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  submit(pool, {.permits = 2}, [&] { note("large"); }, ignore);
  std::vector<std::promise<void>> small(3);
  for (auto& done : small) {
    submit(pool, {.permits = 1}, [&] { note("small"); }, [&](const absl::Status&) { done.set_value(); });
  }
  if (small_ones_first) {
    for (auto& done : small) done.get_future().wait();  // while the gate is closed
  }
  gate.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  return order;
}

TEST(ComputePool, SmallJobsPassALargeOneThatCouldNotStartAnyway) {
  EXPECT_THAT(order_behind_a_large_job(1h, true), ElementsAre("small", "small", "small", "large"));
}

TEST(ComputePool, NothingPassesALargeJobWhosePatienceIsOver) {
  EXPECT_THAT(order_behind_a_large_job(0ms, false), ElementsAre("large", "small", "small", "small"));
}

TEST(ComputePool, ReadsRunBesideChangesThatHoldEveryPermit) {
  ComputePool pool({.permits = 2});
  Gate gate;
  submit(pool, {.permits = 2}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  std::promise<void> read;
  submit(pool, {.kind = JobKind::kRead}, [] {}, [&](const absl::Status&) { read.set_value(); });
  EXPECT_EQ(read.get_future().wait_for(10s), std::future_status::ready);
  gate.open();
}

TEST(ComputePool, ReadsUseFreePermitsButLeaveThemToChangesThatWait) {
  ComputePool pool({.permits = 4});
  Gate gate;
  std::atomic<int> reads{0};
  for (int i = 0; i < 8; ++i) {
    submit(pool, {.kind = JobKind::kRead}, [&] { gate.pass(); }, [&](const absl::Status&) { ++reads; });
  }
  gate.await_arrivals(4);  // as many as there are permits, and no more
  std::promise<int> change;
  submit(pool, {.permits = 2}, [] {}, [&](const absl::Status&) { change.set_value(reads); });
  EXPECT_EQ(change.get_future().wait_for(10s), std::future_status::ready) << "two reads are of their own share";
  EXPECT_EQ(gate.arrived(), 4);
  gate.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_EQ(reads, 8);
}

TEST(ComputePool, BuildsHaveThreadsOfTheirOwnAndNoMoreThanTheyMay) {
  ComputePool pool({.permits = 1, .builds = 2});
  Gate building, changing;
  std::atomic<int> done{0};
  for (int i = 0; i < 5; ++i) {
    submit(pool, {.kind = JobKind::kBuild}, [&] { building.pass(); }, [&](const absl::Status&) { ++done; });
  }
  building.await_arrivals(2);
  submit(pool, {}, [&] { changing.pass(); }, ignore);
  changing.await_arrivals(1);  // beside the builds
  std::promise<void> read;
  submit(pool, {.kind = JobKind::kRead}, [] {}, [&](const absl::Status&) { read.set_value(); });
  read.get_future().wait();
  EXPECT_EQ(building.arrived(), 2);
  building.open();
  changing.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_EQ(done, 5);
}

TEST(ComputePool, WhatComputesNothingWaitsForNoPermit) {
  ComputePool pool({.permits = 1});
  Gate gate;
  submit(pool, {}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  submit(pool, {}, [] {}, ignore);
  std::promise<void> light;
  submit(pool, {.permits = 0}, [] {}, [&](const absl::Status&) { light.set_value(); });
  EXPECT_EQ(light.get_future().wait_for(10s), std::future_status::ready);
  gate.open();
}

TEST(ComputePool, AJobWithoutADeadlineEndsAtTheLimitAndSaysWhich) {
  ComputePool pool({.permits = 1, .max_call = 20ms});
  const auto spin = [] {
    for (;;) check_cancelled();
  };
  std::promise<absl::Status> limited, own;
  submit(pool, {}, spin, [&](absl::Status s) { limited.set_value(std::move(s)); });
  submit(pool, {.cancel = std::make_shared<CancelSource>(Clock::now() + 200ms)}, spin,
         [&](absl::Status s) { own.set_value(std::move(s)); });
  const absl::Status ended = limited.get_future().get();
  EXPECT_EQ(ended.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ended.message(), "the call has no deadline, and ran longer than --max_call_seconds=0.02 allows");
  EXPECT_EQ(rejection_reason(ended), "max_call_seconds");
  EXPECT_EQ(own.get_future().get(), absl::DeadlineExceededError("the call's deadline passed while it ran"));
}

TEST(ComputePool, MorePermitsThanThereAreIsAnError) {
  ComputePool pool({.permits = 2});
  absl::Status status;
  submit(pool, {.permits = 3}, [] {}, [&](absl::Status s) { status = s; });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("expects 1 to 2"));
}

TEST(ComputePool, WaitingJobEndsAtOnceWhenCancelled) {
  ComputePool pool({.permits = 1});
  Gate gate;
  submit(pool, {}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  auto cancel = std::make_shared<CancelSource>();
  absl::Status status;
  bool ran = false;
  submit(pool, {.cancel = cancel}, [&] { ran = true; }, [&](absl::Status s) { status = s; });
  cancel->cancel();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  gate.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_FALSE(ran);
}

TEST(ComputePool, CancellingALargeJobAtTheFrontLetsSmallerOnesStart) {
  ComputePool pool({.permits = 2});
  Gate gate;
  submit(pool, {}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  auto cancel = std::make_shared<CancelSource>();
  submit(pool, {.permits = 2, .cancel = cancel}, [] {}, ignore);
  std::promise<void> small;
  submit(pool, {}, [] {}, [&](const absl::Status&) { small.set_value(); });
  cancel->cancel();
  EXPECT_EQ(small.get_future().wait_for(10s), std::future_status::ready);
  gate.open();
}

TEST(ComputePool, JobCancelledBeforeItIsSubmittedDoesNotRun) {
  ComputePool pool({.permits = 1});
  auto cancel = std::make_shared<CancelSource>();
  cancel->cancel();
  absl::Status status;
  submit(pool, {.cancel = cancel}, [] { FAIL(); }, [&](absl::Status s) { status = s; });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST(ComputePool, JobWhoseDeadlinePassedInTheQueueDoesNotRun) {
  ComputePool pool({.permits = 1});
  Gate gate;
  submit(pool, {}, [&] { gate.pass(); }, ignore);
  gate.await_arrivals(1);
  std::promise<absl::Status> status;
  const auto deadline = Clock::now() + 5ms;
  submit(
      pool, {.cancel = std::make_shared<CancelSource>(deadline)}, [] { FAIL(); },
      [&](absl::Status s) { status.set_value(s); });
  std::this_thread::sleep_until(deadline);
  gate.open();
  EXPECT_EQ(status.get_future().get().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(ComputePool, RunningWorkSeesItsCancellation) {
  ComputePool pool({.permits = 1});
  auto cancel = std::make_shared<CancelSource>();
  Gate gate;
  std::promise<absl::Status> status;
  submit(
      pool, {.cancel = cancel},
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
  submit(
      pool, {},
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
  submit(pool, {}, [&] { note("other"); }, [&](const absl::Status&) { other.set_value(); });
  other.get_future().wait();
  client.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_THAT(order, ElementsAre("asks", "other", "goes on"));
}

TEST(ComputePool, PermitsAreTakenAgainBeforeNewJobsBegin) {
  ComputePool pool({.permits = 1});
  std::vector<std::string> order;  // written by one job at a time
  Gate client, blocker;
  submit(
      pool, {},
      [&] {
        {
          PermitRelease release;
          client.pass();
        }
        order.push_back("resumed");
      },
      ignore);
  client.await_arrivals(1);
  submit(pool, {}, [&] { blocker.pass(); }, ignore);
  blocker.await_arrivals(1);
  for (int i = 0; i < 3; ++i) submit(pool, {}, [&] { order.push_back("new"); }, ignore);
  client.open();
  ASSERT_TRUE(wait_until([&] { return pool.resuming() == 1; }));
  blocker.open();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_THAT(order, ElementsAre("resumed", "new", "new", "new"));
}

TEST(ComputePool, AJobMayReleaseItsPermitsTwice) {
  ComputePool pool({.permits = 2});
  std::atomic<int> held{0};
  Gate first, second;
  std::promise<void> done;
  submit(
      pool, {.permits = 2},
      [&] {
        {
          PermitRelease release;
          first.pass();
        }
        ++held;
        {
          PermitRelease release;
          second.pass();
        }
        ++held;
      },
      [&](const absl::Status&) { done.set_value(); });
  for (Gate* gate : {&first, &second}) {
    gate->await_arrivals(1);
    std::promise<int> other;
    // It wants all permits: both were given back, each time.
    submit(pool, {.permits = 2}, [] {}, [&](const absl::Status&) { other.set_value(held); });
    EXPECT_EQ(other.get_future().get(), gate == &first ? 0 : 1);
    gate->open();
  }
  done.get_future().wait();
  EXPECT_EQ(held, 2);
}

TEST(ComputePool, ReleaseOutsideAJobDoesNothing) { PermitRelease release; }

TEST(ComputePool, DrainRefusesNewWorkAndFinishesTheOld) {
  ComputePool pool({.permits = 1});
  std::atomic<int> done{0};
  for (int i = 0; i < 10; ++i) submit(pool, {}, [] {}, [&](const absl::Status& s) { done += s.ok(); });
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_EQ(done, 10);
  absl::Status status;
  submit(pool, {}, [] {}, [&](absl::Status s) { status = s; });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("draining"));
}

TEST(ComputePool, DrainCancelsWhatIsLeftAtItsDeadline) {
  ComputePool pool({.permits = 1});
  std::atomic<int> cancelled{0};
  const auto count = [&](const absl::Status& s) { cancelled += s.code() == absl::StatusCode::kCancelled; };
  submit(
      pool, {},
      [] {
        for (;;) {
          check_cancelled();
          std::this_thread::sleep_for(1ms);
        }
      },
      count);
  // One that waits may begin while the others are cancelled: it goes on until it is, too.
  const auto spin = [] {
    for (;;) check_cancelled();
  };
  for (int i = 0; i < 3; ++i) submit(pool, {}, spin, count);
  EXPECT_FALSE(pool.drain(Clock::now() + 20ms));
  EXPECT_EQ(cancelled, 4);
}

TEST(ComputePool, CancellationRacesWithRunningWithoutLosingOrDoublingAJob) {
  ComputePool pool({.permits = 2});
  constexpr int kJobs = 2000;
  std::atomic<int> done{0};
  std::vector<std::shared_ptr<CancelSource>> sources;
  for (int i = 0; i < kJobs; ++i) sources.push_back(std::make_shared<CancelSource>());
  std::thread canceller([&] {
    for (auto& source : sources) source->cancel();
  });
  for (int i = 0; i < kJobs; ++i) {
    submit(
        pool, {.permits = 1 + i % 2, .cancel = sources[static_cast<size_t>(i)]}, [] {},
        [&](const absl::Status&) { ++done; });
  }
  canceller.join();
  pool.drain(Clock::now() + 60s);
  EXPECT_EQ(done, kJobs);
}

}  // namespace
}  // namespace tapewire
