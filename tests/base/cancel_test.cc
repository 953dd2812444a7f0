#include "core/base/cancel.h"

#include <algorithm>
#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace tapewire {
namespace {

absl::StatusCode code_of_check() {
  try {
    check_cancelled();
  } catch (const Error& error) {
    return error.code();
  }
  return absl::StatusCode::kOk;
}

TEST(CancelTest, WithoutATokenNothingIsCancelled) { EXPECT_EQ(code_of_check(), absl::StatusCode::kOk); }

TEST(CancelTest, ATokenSetFromAnotherThreadStopsThisOne) {
  CancelToken token;
  const CancelScope scope(&token);
  EXPECT_EQ(code_of_check(), absl::StatusCode::kOk);
  std::thread([&] { token.cancel(); }).join();
  EXPECT_EQ(code_of_check(), absl::StatusCode::kCancelled);
}

TEST(CancelTest, APastDeadlineStops) {
  const CancelToken token(CancelToken::Clock::now() - std::chrono::seconds(1));
  const CancelScope scope(&token);
  EXPECT_EQ(code_of_check(), absl::StatusCode::kDeadlineExceeded);
}

TEST(CancelTest, AScopeOfNoneShieldsAndEnds) {
  CancelToken token;
  token.cancel();
  const CancelScope scope(&token);
  {
    const CancelScope shield(nullptr);
    EXPECT_EQ(code_of_check(), absl::StatusCode::kOk);
  }
  EXPECT_EQ(code_of_check(), absl::StatusCode::kCancelled);
}

TEST(CancelTest, CountedWorkIsCheckedNowAndThen) {
  CancelToken token;
  token.cancel();
  const CancelScope scope(&token);
  detail::work_left = 100;
  int64_t done = 0;
  EXPECT_THROW(
      {
        for (; done < 1000; ++done) count_work(10);
      },
      Error);
  EXPECT_EQ(done, 9);
  EXPECT_EQ(detail::work_left, detail::kWorkBetweenChecks);
}

TEST(CancelTest, WorkOfAnyAmountIsCheckedOnce) {
  CancelToken token;
  const CancelScope scope(&token);
  detail::work_left = 1;
  count_work(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(detail::work_left, detail::kWorkBetweenChecks);
  token.cancel();
  EXPECT_THROW(count_work(std::numeric_limits<int64_t>::max()), Error);
}

TEST(CancelTest, PiecesCoverARangeInOrder) {
  for (const int64_t n : {int64_t{0}, int64_t{1}, kPieceElements, kPieceElements + 1, 10 * kPieceElements + 17}) {
    for (const int64_t cost : {1, 3, 1000, 1 << 30}) {
      int64_t covered = 0;
      in_pieces(
          n,
          [&](int64_t begin, int64_t end) {
            EXPECT_EQ(begin, covered);
            EXPECT_TRUE(end == n || (end - begin) % 4096 == 0) << begin << " to " << end;
            EXPECT_TRUE(end - begin <= std::max<int64_t>(4096, kPieceElements / cost));
            covered = end;
          },
          cost);
      EXPECT_EQ(covered, n);
    }
  }
}

TEST(CancelTest, BetweenPiecesTheTokenIsChecked) {
  CancelToken token;
  const CancelScope scope(&token);
  int64_t covered = 0;
  EXPECT_THROW(in_pieces(10 * kPieceElements,
                         [&](int64_t, int64_t end) {
                           covered = end;
                           token.cancel();
                         }),
               Error);
  EXPECT_EQ(covered, kPieceElements);
}

}  // namespace
}  // namespace tapewire
