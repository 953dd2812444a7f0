#include "core/base/cancel.h"

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

}  // namespace
}  // namespace tapewire
