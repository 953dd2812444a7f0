#include "server/observe/memory_guard.h"

#include <cstring>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/strings.h"

namespace tapewire {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class MemoryGuardTest : public testing::Test {
 protected:
  int64_t resident_ = 0;
  int64_t kept_ = 0;
  int looks_ = 0;
  int releases_ = 0;
  MemoryGuard::Clock::time_point now_{};
  MemoryGuard guard_{{.limit = 1000,
                      .resident =
                          [this] {
                            ++looks_;
                            return resident_ + kept_;
                          },
                      .release =
                          [this] {
                            ++releases_;
                            kept_ = 0;
                          }}};
};

TEST_F(MemoryGuardTest, LetsInWhatFits) {
  resident_ = 400;
  EXPECT_TRUE(guard_.admit(600, now_).ok());
}

TEST_F(MemoryGuardTest, RefusesWhatDoesNotFitAndNamesTheFlag) {
  resident_ = 400;
  const absl::Status status = guard_.admit(601, now_);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(to_std(status.message()), HasSubstr("--tensor_memory_limit"));
  EXPECT_THAT(to_std(status.message()), HasSubstr("601 more"));
}

TEST_F(MemoryGuardTest, ThoseLetInBetweenTwoLooksAddUp) {
  EXPECT_TRUE(guard_.admit(600, now_).ok());
  EXPECT_FALSE(guard_.admit(600, now_ + milliseconds(1)).ok() && looks_ == 1);
}

TEST_F(MemoryGuardTest, ReleasesWhatIsKeptBeforeItRefuses) {
  resident_ = 100;
  kept_ = 900;
  EXPECT_TRUE(guard_.admit(500, now_).ok());
  EXPECT_EQ(releases_, 1);
}

TEST_F(MemoryGuardTest, LooksAndReleasesOnlyNowAndThen) {
  resident_ = 1000;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(guard_.admit(1, now_ + milliseconds(i) / 100).ok());
  EXPECT_EQ(releases_, 1);
  EXPECT_EQ(looks_, 2);
  EXPECT_FALSE(guard_.admit(1, now_ + milliseconds(500)).ok());
  EXPECT_EQ(releases_, 2);
}

TEST_F(MemoryGuardTest, LetsInAgainWhenMemoryIsBack) {
  resident_ = 1000;
  EXPECT_FALSE(guard_.admit(1, now_).ok());
  resident_ = 10;
  EXPECT_TRUE(guard_.admit(1, now_ + milliseconds(10)).ok());
}

TEST(ResidentBytesTest, SeesWhatIsTouched) {
  const int64_t before = MemoryGuard::resident_bytes();
  EXPECT_GT(before, 1 << 20);
  constexpr size_t kBytes = size_t{64} << 20;
  const auto block = std::make_unique<char[]>(kBytes);
  std::memset(block.get(), 1, kBytes);
  EXPECT_GT(MemoryGuard::resident_bytes(), before + (int64_t{60} << 20));
}

TEST(DefaultTensorMemoryTest, LeavesRoomBesideTensors) {
  for (const int64_t mib : {256, 512, 1024, 24 * 1024}) {
    EXPECT_LT(default_tensor_memory(mib << 20) + kMemoryBesideTensors, mib << 20);
  }
  EXPECT_EQ(default_tensor_memory(int64_t{64} << 20), int64_t{16} << 20);
  EXPECT_GT(default_tensor_memory(int64_t{64} << 30), int64_t{50} << 30);
}

}  // namespace
}  // namespace tapewire
