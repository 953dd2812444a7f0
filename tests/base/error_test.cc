#include "core/base/error.h"

#include <gtest/gtest.h>

namespace tapewire {
namespace {

TEST(ErrorTest, CarriesACodeAndAMessageInContext) {
  try {
    fail("expects ", 2, ", got ", std::string_view("three"));
    FAIL() << "fail returned";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_STREQ(error.what(), "expects 2, got three");
    const Error outer = error.within("fc1");
    EXPECT_EQ(outer.message(), "fc1: expects 2, got three");
    EXPECT_EQ(outer.code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(ErrorTest, EachKindOfFaultHasItsCode) {
  const auto code_of = [](auto&& f) {
    try {
      f();
    } catch (const Error& error) {
      return error.code();
    }
    return absl::StatusCode::kOk;
  };
  EXPECT_EQ(code_of([] { fail_precondition("x"); }), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code_of([] { fail_internal("x"); }), absl::StatusCode::kInternal);
  EXPECT_EQ(code_of([] { fail_with(absl::StatusCode::kNotFound, "x"); }), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tapewire
