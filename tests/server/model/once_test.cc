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

TEST_F(OnceGuardTest, AClientThatHasAllItsAnswersGivesItsPlaceBack) {
  guard_.note({"a", 7}, "TrainStep", "answer");
  guard_.forget({"a", 6});  // it is at 7
  EXPECT_TRUE(guard_.knows("a"));
  guard_.forget({"a", 7});
  EXPECT_FALSE(guard_.knows("a"));
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
    EXPECT_EQ(live(), one) << "a client counts once";
    guard.check({"failed", 1}, "Step");
    guard.check({"next", 1}, "Step");
    guard.note({"next", 1}, "Step", "c");
    EXPECT_LT(live(), one + 6000) << "a change that failed leaves nothing";
  }
  EXPECT_EQ(live(), 0);
}

}  // namespace
}  // namespace tapewire
