#include "server/model/once.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace tapewire {
namespace {

using testing::HasSubstr;
using testing::Optional;

class OnceGuardTest : public testing::Test {
 protected:
  std::string error_of(const ChangeId& id, absl::StatusCode code, OnceGuard::Clock::time_point now = {}) {
    try {
      guard_.check(id, "Step", now);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      return error.message();
    }
    return "no error";
  }

  OnceGuard guard_;
};

TEST_F(OnceGuardTest, ARepeatedChangeGetsItsAnswer) {
  EXPECT_EQ(guard_.check({"a", 1}, "Step"), std::nullopt);
  guard_.note({"a", 1}, "Step", "first");
  EXPECT_THAT(guard_.check({"a", 1}, "Step"), Optional(std::string("first")));
  EXPECT_EQ(guard_.check({"b", 1}, "Step"), std::nullopt) << "each client has numbers of its own";
  EXPECT_EQ(guard_.check({"a", 5}, "Step"), std::nullopt) << "a failed change leaves a gap";
}

TEST_F(OnceGuardTest, AChangeThatFailedMayBeSentAgain) {
  EXPECT_EQ(guard_.check({"a", 1}, "Step"), std::nullopt);
  EXPECT_EQ(guard_.check({"a", 1}, "Step"), std::nullopt);
}

TEST_F(OnceGuardTest, WhatIsNotRememberedIsRefused) {
  guard_.note({"a", 7}, "Step", std::nullopt);
  EXPECT_THAT(error_of({"a", 7}, absl::StatusCode::kFailedPrecondition), HasSubstr("too large to remember"));
  EXPECT_THAT(error_of({"a", 6}, absl::StatusCode::kFailedPrecondition),
              HasSubstr("6 comes after 7, which was applied; whether it was applied itself is not known any more"));
}

TEST_F(OnceGuardTest, AClientThatIsDoneIsRememberedUntilAnotherNeedsItsPlace) {
  const OnceGuard::Clock::time_point now{};
  guard_.note({"done", 7}, "TrainStep", "answer", now);
  guard_.note({"again", 7}, "TrainStep", "answer", now);
  guard_.may_forget({"done", 6});  // it is at 7
  guard_.may_forget({"done", 7});
  guard_.may_forget({"again", 7});
  // It may not have got its last answers: then it sends again, and is not done any more.
  EXPECT_EQ(guard_.check({"done", 7}, "TrainStep", now), "answer");
  EXPECT_THAT(error_of({"done", 6}, absl::StatusCode::kFailedPrecondition), HasSubstr("comes after 7"));
  guard_.note({"again", 8}, "TrainStep", "answer", now);
  for (size_t i = 2; i < OnceGuard::kMaxClients; ++i) guard_.note({str_cat("c", i), 1}, "Step", "x", now);
  EXPECT_EQ(guard_.check({"new", 1}, "Step", now), std::nullopt);
  EXPECT_FALSE(guard_.knows("done"));
  EXPECT_TRUE(guard_.knows("again"));
  guard_.note({"new", 1}, "Step", "x", now);
  EXPECT_THAT(error_of({"newer", 1}, absl::StatusCode::kResourceExhausted, now), HasSubstr("10000 clients"));
}

TEST_F(OnceGuardTest, WhatIsRememberedCountsByItsSizeAndLeavesRoomBeforeTheChange) {
  const int64_t before = tensor_allocator().stats().live;
  guard_.check({"a", 1}, "Step");
  EXPECT_GE(tensor_allocator().stats().live, before + static_cast<int64_t>(OnceGuard::kMaxAnswerBytes));
  guard_.note({"a", 1}, "Step", "x");
  EXPECT_LE(tensor_allocator().stats().live, before + 512);
  guard_.check({"a", 2}, "Step");
  EXPECT_GE(tensor_allocator().stats().live, before + static_cast<int64_t>(OnceGuard::kMaxAnswerBytes));
  guard_.note({"a", 2}, "Step", std::string(4000, 'x'));
  EXPECT_GE(tensor_allocator().stats().live, before + 4000);
}

TEST_F(OnceGuardTest, ANumberIsOfOneMethod) {
  guard_.note({"a", 1}, "SetTraining", "x");
  EXPECT_THAT(error_of({"a", 1}, absl::StatusCode::kFailedPrecondition), HasSubstr("1 was a call of SetTraining"));
}

TEST_F(OnceGuardTest, UnnumberedChangesAreAlwaysMade) {
  guard_.note({"a", 0}, "Step", "x");
  EXPECT_EQ(guard_.check({"a", 0}, "Step"), std::nullopt);
  EXPECT_EQ(guard_.check({"", 0}, "Step"), std::nullopt);
}

TEST_F(OnceGuardTest, ClientsAreForgottenAfterAnHourWhenThereAreTooMany) {
  const OnceGuard::Clock::time_point start{};
  for (size_t i = 0; i < OnceGuard::kMaxClients; ++i) {
    guard_.note({str_cat("c", i), 1}, "Step", "x", start + std::chrono::seconds(i == 3 ? 0 : 1));
  }
  EXPECT_THAT(error_of({"new", 1}, absl::StatusCode::kResourceExhausted, start + std::chrono::minutes(59)),
              HasSubstr("10000 clients"));
  EXPECT_EQ(guard_.check({"new", 1}, "Step", start + std::chrono::hours(1)), std::nullopt);
  EXPECT_EQ(guard_.check({"c3", 1}, "Step", start + std::chrono::hours(1)), std::nullopt) << "the oldest was forgotten";
  EXPECT_THAT(guard_.check({"c4", 1}, "Step"), Optional(std::string("x")));
}

TEST_F(OnceGuardTest, WhatIsRememberedCountsAsTensorMemory) {
  const int64_t before = tensor_allocator().stats().live;
  const auto live = [&] { return tensor_allocator().stats().live - before; };
  {
    OnceGuard guard;
    const std::string client(100'000, 'c');
    guard.check({client, 1}, "Step");
    EXPECT_GE(live(), 100'000) << "before the change is made";
    guard.note({client, 1}, "Step", std::string(4000, 'a'));
    const int64_t one = live();
    EXPECT_GE(one, 104'000);
    guard.check({client, 2}, "Step");
    guard.note({client, 2}, "Step", "b");
    EXPECT_LT(live(), one - 3000) << "a client counts once, with the answer that is remembered now";
    guard.check({"failed", 1}, "Step");
    guard.check({"next", 1}, "Step");
    guard.note({"next", 1}, "Step", "c");
    EXPECT_LT(live(), one + 6000) << "a change that failed leaves nothing";
  }
  EXPECT_EQ(live(), 0);
}

}  // namespace
}  // namespace tapewire
