#include "core/base/parallel_for.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/cancel.h"
#include "core/base/error.h"

namespace tapewire {
namespace {

using Ranges = std::set<std::pair<int64_t, int64_t>>;

Ranges ranges_of(int64_t size, int64_t grain, int threads) {
  const ComputeThreadsScope scope(threads);
  std::mutex mutex;
  Ranges ranges;
  parallel_for(size, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(ranges.emplace(begin, end).second);
  });
  return ranges;
}

TEST(ParallelForTest, CoversTheRangeOnceWhateverTheThreads) {
  EXPECT_EQ(ranges_of(10, 4, 1), (Ranges{{0, 4}, {4, 8}, {8, 10}}));
  for (const int threads : {1, 2, 3, 8}) {
    EXPECT_EQ(ranges_of(10, 4, threads), ranges_of(10, 4, 1)) << threads;
    EXPECT_EQ(ranges_of(1000, 7, threads), ranges_of(1000, 7, 1)) << threads;
    EXPECT_EQ(ranges_of(0, 7, threads), Ranges{}) << threads;
    EXPECT_EQ(ranges_of(5, 100, threads), (Ranges{{0, 5}})) << threads;
  }
}

TEST(ParallelForTest, AReductionWithinRangesGivesTheSameBits) {
  const auto sum_of = [](int threads) {
    const ComputeThreadsScope scope(threads);
    constexpr int64_t kSize = 100000;
    constexpr int64_t kGrain = 1000;
    std::vector<float> parts(kSize / kGrain);
    parallel_for(kSize, kGrain, [&](int64_t begin, int64_t end) {
      float sum = 0;
      for (int64_t i = begin; i < end; ++i) sum += 1.0f / static_cast<float>(i + 1);
      parts[static_cast<size_t>(begin / kGrain)] = sum;
    });
    float total = 0;
    for (const float part : parts) total += part;
    return total;
  };
  const float alone = sum_of(1);
  for (int repeat = 0; repeat < 20; ++repeat) EXPECT_EQ(sum_of(4), alone);
}

TEST(ParallelForTest, UsesSeveralThreads) {
  const ComputeThreadsScope scope(2);
  std::atomic<int> waiting{0};
  // Each range waits for the other: one thread alone would never end.
  parallel_for(2, 1, [&](int64_t, int64_t) {
    ++waiting;
    while (waiting < 2) std::this_thread::yield();
  });
  EXPECT_EQ(waiting, 2);
}

TEST(ParallelForTest, TheFirstErrorIsRethrownAfterWhatHasBegunEnded) {
  for (const int threads : {2, 4}) {
    const ComputeThreadsScope scope(threads);
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    try {
      parallel_for(100'000, 1, [&](int64_t begin, int64_t) {
        ++begun;
        if (begin == 5) {
          ++ended;
          fail("range ", begin, " is broken");
        }
        ++ended;
      });
      FAIL() << "no error came";
    } catch (const Error& error) {
      EXPECT_EQ(error.message(), "range 5 is broken");
    }
    EXPECT_EQ(ended, begun);
  }
}

TEST(ParallelForTest, AfterAnErrorNoFurtherRangeBegins) {
  const ComputeThreadsScope scope(2);
  std::atomic<bool> failed{false};
  std::atomic<int> begun{0};
  // The other thread's range ends only when this one has failed, or is the one that fails.
  // So many that no delay between the failure and its being noted lets the other thread do all.
  constexpr int kRanges = 100'000'000;
  EXPECT_THROW(parallel_for(kRanges, 1,
                            [&](int64_t begin, int64_t) {
                              ++begun;
                              if (begin == 0) {
                                failed = true;
                                fail("broken");
                              }
                              while (!failed) std::this_thread::yield();
                            }),
               Error);
  EXPECT_LT(begun, kRanges);
}

absl::StatusCode code_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.code();
  }
  return absl::StatusCode::kOk;
}

TEST(ParallelForTest, TheTokenIsCheckedBeforeEachRange) {
  for (const int threads : {1, 2, 4}) {
    const ComputeThreadsScope scope(threads);
    CancelToken token;
    const CancelScope cancel(&token);
    std::atomic<int> begun{0};
    EXPECT_EQ(code_of([&] {
                parallel_for(1000, 1, [&](int64_t, int64_t) {
                  ++begun;
                  token.cancel();
                });
              }),
              absl::StatusCode::kCancelled);
    EXPECT_LE(begun, threads);
  }
}

TEST(ParallelForTest, ABodyAsksTheCallersTokenOnEveryThread) {
  const ComputeThreadsScope scope(2);
  CancelToken token;
  const CancelScope cancel(&token);
  std::atomic<int> inside{0};
  std::atomic<int> stopped{0};
  // Both threads are in a body when the token is set.
  EXPECT_EQ(code_of([&] {
              parallel_for(2, 1, [&](int64_t, int64_t) {
                ++inside;
                while (inside < 2) std::this_thread::yield();
                token.cancel();
                stopped += code_of(&check_cancelled) == absl::StatusCode::kCancelled ? 1 : 0;
              });
            }),
            absl::StatusCode::kOk);
  EXPECT_EQ(stopped, 2);
}

TEST(ParallelForTest, AHelpersTokenEndsWithTheCall) {
  const ComputeThreadsScope scope(2);
  {
    const CancelToken token;
    const CancelScope cancel(&token);
    std::atomic<int> inside{0};
    parallel_for(2, 1, [&](int64_t, int64_t) {
      ++inside;
      while (inside < 2) std::this_thread::yield();
    });
  }
  std::atomic<int> inside{0};
  std::atomic<int> free{0};
  parallel_for(2, 1, [&](int64_t, int64_t) {
    ++inside;
    while (inside < 2) std::this_thread::yield();
    free += current_cancel_token() == nullptr ? 1 : 0;
  });
  EXPECT_EQ(free, 2);
}

TEST(ParallelForTest, WithOneThreadAnErrorPassesThrough) {
  EXPECT_THROW(parallel_for(4, 1, [](int64_t, int64_t) { fail("broken"); }), Error);
}

TEST(ParallelForTest, InsideABodyItRunsInLine) {
  const ComputeThreadsScope scope(4);
  std::atomic<int> inner{0};
  parallel_for(4, 1, [&](int64_t, int64_t) {
    EXPECT_EQ(compute_threads(), 1);
    const std::thread::id here = std::this_thread::get_id();
    parallel_for(10, 1, [&](int64_t, int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), here);
      ++inner;
    });
  });
  EXPECT_EQ(inner, 40);
}

TEST(ParallelForTest, ManyCallersMayCallAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> total{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      const ComputeThreadsScope scope(3);
      for (int repeat = 0; repeat < 200; ++repeat) {
        int64_t sum = 0;
        std::mutex mutex;
        parallel_for(100, 9, [&](int64_t begin, int64_t end) {
          const std::lock_guard lock(mutex);
          for (int64_t i = begin; i < end; ++i) sum += i;
        });
        total += sum;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total, 4 * 200 * 4950);
}

TEST(ComputeThreadsTest, IsOneUnlessSetAndNests) {
  EXPECT_EQ(compute_threads(), 1);
  {
    const ComputeThreadsScope outer(3);
    EXPECT_EQ(compute_threads(), 3);
    const ComputeThreadsScope inner(2);
    EXPECT_EQ(compute_threads(), 2);
  }
  EXPECT_EQ(compute_threads(), 1);
}

}  // namespace
}  // namespace tapewire
