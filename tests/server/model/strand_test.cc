#include "server/model/strand.h"

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "gmock/gmock.h"

namespace tapewire {
namespace {

using namespace std::chrono_literals;
using Clock = CancelToken::Clock;

const auto ignore = [](const auto&) {};

// Work that holds its strand until release() is called.
class Blocker {
 public:
  explicit Blocker(Strand& strand) {
    strand.submit(
        {},
        [state = state_] {
          state->begun.set_value();
          state->released.wait();
        },
        ignore);
    state_->begun.get_future().wait();
  }
  void release() { state_->release.set_value(); }

 private:
  struct State {
    std::promise<void> begun, release;
    std::future<void> released = release.get_future();
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

TEST(Strand, RunsJobsOneAtATimeInOrder) {
  ComputePool pool({.permits = 4});
  Strand strand(pool, {.name = "model 'm'", .max_queue = 1 << 20});
  std::vector<int> order;  // unprotected: the strand is the protection
  for (int i = 0; i < 500; ++i) strand.submit({}, [&order, i] { order.push_back(i); }, ignore);
  EXPECT_TRUE(pool.drain(Clock::now() + 30s));
  ASSERT_EQ(order.size(), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(Strand, StrandsRunBesideEachOther) {
  ComputePool pool({.permits = 2});
  Strand a(pool, {.name = "a"}), b(pool, {.name = "b"});
  Blocker holds_a(a);
  std::promise<void> ran;
  b.submit({}, [] {}, [&](const absl::Status&) { ran.set_value(); });
  EXPECT_EQ(ran.get_future().wait_for(10s), std::future_status::ready);
  holds_a.release();
}

TEST(Strand, BusyStrandDoesNotStarveAnother) {
  ComputePool pool({.permits = 1});
  Strand busy(pool, {.name = "busy", .max_queue = 1000}), other(pool, {.name = "other"});
  Blocker hold(busy);
  std::atomic<int> before{0};
  std::promise<int> turn;
  for (int i = 0; i < 100; ++i) busy.submit({}, [&] { ++before; }, ignore);
  other.submit({}, [&] { turn.set_value(before); }, ignore);
  hold.release();
  EXPECT_LE(turn.get_future().get(), 1);
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
}

TEST(Strand, FullQueueNamesTheModelAndTheFlag) {
  ComputePool pool({.permits = 1});
  Strand strand(pool, {.name = "model 'm'", .max_queue = 3});
  Blocker hold(strand);
  absl::Status status;
  for (int i = 0; i < 3; ++i) strand.submit({}, [] {}, ignore);
  strand.submit({}, [] {}, [&](absl::Status s) { status = s; });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "model 'm': 3 calls wait already, as many as --max_queue allows");
  hold.release();
}

TEST(Strand, ReportsWaitsAndDepthOfTurnsAndReads) {
  ComputePool pool({.permits = 1});
  std::atomic<int> waits{0}, depth{0};
  Strand strand(pool, {.observer = {[&](double seconds) { waits += seconds >= 0; }, [&](int d) { depth += d; }}});
  Blocker hold(strand);
  auto cancel = std::make_shared<CancelSource>();
  strand.submit({.cancel = cancel}, [] {}, ignore);
  strand.submit({}, [] {}, ignore);
  strand.submit({.internal = true}, [] {}, ignore);  // counts for nothing
  EXPECT_EQ(depth, 2);
  cancel->cancel();
  EXPECT_EQ(depth, 1);
  std::promise<void> read;
  strand.submit({.kind = JobKind::kRead}, [] {}, [&](const absl::Status&) { read.set_value(); });
  read.get_future().wait();
  hold.release();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_EQ(depth, 0);
  EXPECT_EQ(waits, 3) << "the one that held it, the one that ran after it, and the read";
}

TEST(Strand, TheServersOwnJobsGoFirstAndTakeNoPlaceInTheQueue) {
  ComputePool pool({.permits = 1});
  Strand strand(pool, {.max_queue = 1});
  Blocker hold(strand);
  std::vector<std::string> order;
  strand.submit({}, [&] { order.emplace_back("call"); }, ignore);
  absl::Status own = absl::UnknownError("");
  strand.submit({.permits = 0, .internal = true}, [&] { order.emplace_back("own"); }, [&](absl::Status s) { own = s; });
  strand.submit({.permits = 0, .for_read = true}, [&] { order.emplace_back("for a read"); }, ignore);
  hold.release();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_TRUE(own.ok());
  EXPECT_THAT(order, testing::ElementsAre("for a read", "own", "call"));
}

TEST(Strand, ReadsOfOneStrandLeaveRoomForThoseOfAnother) {
  ComputePool pool({.permits = 1});
  Strand busy(pool, {.max_queue = 3}), other(pool, {});
  std::promise<void> begun, go;
  const std::shared_future<void> gone = go.get_future().share();
  busy.submit(
      {.kind = JobKind::kRead},
      [&] {
        begun.set_value();
        gone.wait();
      },
      ignore);
  begun.get_future().wait();
  std::atomic<int> before{0};
  absl::Status full;
  for (int i = 0; i < 3; ++i) busy.submit({.kind = JobKind::kRead}, [&] { ++before; }, ignore);
  busy.submit({.kind = JobKind::kRead}, [] { FAIL(); }, [&](absl::Status s) { full = std::move(s); });
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  std::promise<int> turn;
  other.submit({.kind = JobKind::kRead}, [&] { turn.set_value(before); }, ignore);
  go.set_value();
  EXPECT_LE(turn.get_future().get(), 1);
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
}

TEST(Strand, CancelledJobsLeaveTheOrderOfTheOthers) {
  ComputePool pool({.permits = 2});
  Strand strand(pool, {.name = "m"});
  Blocker hold(strand);
  std::vector<int> order;
  std::atomic<int> cancelled{0};
  std::vector<std::shared_ptr<CancelSource>> sources;
  for (int i = 0; i < 10; ++i) {
    sources.push_back(std::make_shared<CancelSource>());
    strand.submit(
        {.cancel = sources.back()}, [&order, i] { order.push_back(i); },
        [&](const absl::Status& s) { cancelled += s.code() == absl::StatusCode::kCancelled; });
  }
  for (size_t i = 0; i < 10; i += 2) sources[i]->cancel();
  EXPECT_EQ(cancelled, 5);
  hold.release();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_THAT(order, testing::ElementsAre(1, 3, 5, 7, 9));
}

TEST(Strand, CancelledHeadThatWaitsForPermitsPassesTheTurnOn) {
  ComputePool pool({.permits = 2});
  Strand holder(pool, {.name = "holder"}), strand(pool, {.name = "m"});
  Blocker hold(holder);
  auto cancel = std::make_shared<CancelSource>();
  strand.submit({.permits = 2, .cancel = cancel}, [] { FAIL(); }, ignore);
  std::promise<void> next;
  strand.submit({.permits = 1}, [&] { next.set_value(); }, ignore);
  cancel->cancel();
  EXPECT_EQ(next.get_future().wait_for(10s), std::future_status::ready);
  hold.release();
}

TEST(Strand, ClosedStrandEndsWhatWaitsAndRefusesTheRest) {
  ComputePool pool({.permits = 1});
  Strand strand(pool, {.name = "m"});
  std::vector<absl::Status> ends;
  const auto note = [&](absl::Status s) { ends.push_back(std::move(s)); };
  Blocker hold(strand);
  for (int i = 0; i < 3; ++i) strand.submit({}, [] { FAIL(); }, note);
  strand.close(absl::NotFoundError("model 'm' was deleted"));
  strand.submit({}, [] { FAIL(); }, note);
  hold.release();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_THAT(ends, testing::SizeIs(4));
  for (const absl::Status& end : ends) EXPECT_EQ(end, absl::NotFoundError("model 'm' was deleted"));
}

TEST(Strand, JobsOutliveTheirStrand) {
  ComputePool pool({.permits = 1});
  std::atomic<int> ran{0};
  {
    Strand strand(pool, {.name = "m"});
    for (int i = 0; i < 20; ++i) strand.submit({}, [&] { ++ran; }, ignore);
  }
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
  EXPECT_EQ(ran, 20);
}

TEST(Strand, AJobThatWaitsForAClientKeepsItsTurnButNotItsPermits) {
  ComputePool pool({.permits = 1});
  Strand strand(pool, {.name = "m"}), other(pool, {.name = "o"});
  std::promise<void> asked, answer, other_ran;
  std::atomic<bool> in_turn{false};
  strand.submit(
      {},
      [&] {
        in_turn = true;
        {
          PermitRelease release;
          asked.set_value();
          answer.get_future().wait();
        }
        in_turn = false;
      },
      ignore);
  strand.submit({}, [&] { EXPECT_FALSE(in_turn); }, ignore);
  asked.get_future().wait();
  other.submit({}, [&] { other_ran.set_value(); }, ignore);
  EXPECT_EQ(other_ran.get_future().wait_for(10s), std::future_status::ready);
  answer.set_value();
  EXPECT_TRUE(pool.drain(Clock::now() + 10s));
}

TEST(Strand, ManyThreadsManyStrandsUnderCancellation) {
  ComputePool pool({.permits = 3});
  constexpr int kStrands = 6, kThreads = 4, kJobs = 300;
  struct Owned {
    std::unique_ptr<Strand> strand;
    int64_t counter = 0;  // only its strand touches it
  };
  std::vector<Owned> owned(kStrands);
  for (int i = 0; i < kStrands; ++i) {
    owned[static_cast<size_t>(i)].strand =
        std::make_unique<Strand>(pool, Strand::Options{.name = "m", .max_queue = 1 << 20});
  }
  std::atomic<int64_t> ok{0}, ended{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kJobs; ++i) {
        Owned& o = owned[static_cast<size_t>((t + i) % kStrands)];
        auto cancel = std::make_shared<CancelSource>();
        o.strand->submit(
            {.permits = 1 + i % 3, .cancel = cancel},
            [&o, i] {
              if (i % 7 == 0) {
                PermitRelease release;
                std::this_thread::yield();
              }
              ++o.counter;
            },
            [&](const absl::Status& s) {
              ok += s.ok();
              ++ended;
            });
        if (i % 5 == 0) cancel->cancel();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(pool.drain(Clock::now() + 60s));
  EXPECT_EQ(ended, kThreads * kJobs);
  int64_t counted = 0;
  for (const Owned& o : owned) counted += o.counter;
  EXPECT_EQ(counted, ok);
  EXPECT_GE(ok, kThreads * kJobs * 4 / 5);
}

}  // namespace
}  // namespace tapewire
