#include "server/model/cancel_source.h"

#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace tapewire {
namespace {

using Clock = CancelToken::Clock;

TEST(CancelSource, CancelSetsTheTokenAndRunsCallbacksOnce) {
  CancelSource source;
  int calls = 0;
  source.on_cancel([&] { ++calls; });
  EXPECT_TRUE(source.status().ok());
  source.cancel();
  source.cancel();
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(source.token().cancelled());
  EXPECT_EQ(source.status().code(), absl::StatusCode::kCancelled);
}

TEST(CancelSource, LateCallbackRunsAtOnce) {
  CancelSource source;
  source.cancel();
  bool ran = false;
  EXPECT_EQ(source.on_cancel([&] { ran = true; }), 0u);
  EXPECT_TRUE(ran);
}

TEST(CancelSource, ForgottenCallbackDoesNotRun) {
  CancelSource source;
  bool ran = false;
  const uint64_t id = source.on_cancel([&] { ran = true; });
  source.forget(id);
  source.cancel();
  EXPECT_FALSE(ran);
}

TEST(CancelSource, CallbackMayRegisterAndForget) {
  CancelSource source;
  int calls = 0;
  source.on_cancel([&] {
    source.forget(12345);
    source.on_cancel([&] { ++calls; });
  });
  source.cancel();
  EXPECT_EQ(calls, 1);
}

TEST(CancelSource, PassedDeadlineIsDeadlineExceededEvenWhenCancelled) {
  CancelSource source(Clock::now() - std::chrono::seconds(1));
  EXPECT_EQ(source.status().code(), absl::StatusCode::kDeadlineExceeded);
  source.cancel();
  EXPECT_EQ(source.status().code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace tapewire
