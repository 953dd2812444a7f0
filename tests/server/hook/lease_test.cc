#include "server/hook/lease.h"

#include <gtest/gtest.h>

namespace tapewire {
namespace {

using std::chrono::seconds;

constexpr Lease::Clock::time_point kStart{seconds(1000)};

TEST(LeaseTest, ItRunsOutAfterItsLength) {
  const Lease lease(seconds(10), kStart);
  EXPECT_FALSE(lease.over(kStart + seconds(9)));
  EXPECT_TRUE(lease.over(kStart + seconds(10)));
  EXPECT_EQ(lease.expiry(), kStart + seconds(10));
  EXPECT_EQ(lease.ends(kStart + seconds(5)), kStart + seconds(10));
}

TEST(LeaseTest, WithoutALengthItNeverEnds) {
  const Lease lease(std::nullopt, kStart);
  EXPECT_FALSE(lease.over(Lease::Clock::time_point::max()));
  EXPECT_FALSE(lease.expiry());
  EXPECT_FALSE(lease.ends(kStart));
}

TEST(LeaseTest, ItDoesNotRunOutWhileWatchedAndBeginsAnewAfterTheLastWatch) {
  Lease lease(seconds(10), kStart);
  lease.begin_watch();
  lease.begin_watch();
  EXPECT_FALSE(lease.over(kStart + seconds(100)));
  EXPECT_FALSE(lease.expiry());
  EXPECT_EQ(lease.ends(kStart + seconds(100)), kStart + seconds(110));
  lease.end_watch(kStart + seconds(100));
  EXPECT_FALSE(lease.over(kStart + seconds(1000)));
  lease.end_watch(kStart + seconds(1000));
  EXPECT_FALSE(lease.over(kStart + seconds(1009)));
  EXPECT_TRUE(lease.over(kStart + seconds(1010)));
}

}  // namespace
}  // namespace tapewire
