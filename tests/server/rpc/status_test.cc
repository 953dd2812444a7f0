#include "server/rpc/status.h"

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "server/model/caught.h"

namespace tapewire::rpc {
namespace {

using testing::EndsWith;
using testing::StartsWith;

TEST(Status, CodesAndMessagesAreKept) {
  EXPECT_TRUE(to_grpc(absl::OkStatus()).ok());
  const grpc::Status status = to_grpc(absl::NotFoundError("model 'x' is not here"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "model 'x' is not here");
}

TEST(Status, WhatIsThrownBecomesAStatus) {
  const auto caught = [](auto thrower) {
    try {
      thrower();
    } catch (...) {
      return to_grpc(caught_status());
    }
    return grpc::Status::OK;
  };
  EXPECT_EQ(caught([] { fail_precondition("fc1: used twice"); }).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(caught([] { throw std::bad_alloc(); }).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(caught([] { throw std::runtime_error("odd"); }).error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(caught([] { throw Error(absl::StatusCode::kOk, "no"); }).error_code(), grpc::StatusCode::INTERNAL);
}

TEST(Status, LongMessagesAreCutInTheMiddle) {
  const std::string cut =
      to_grpc(absl::InvalidArgumentError("begin" + std::string(100000, 'x') + "end")).error_message();
  EXPECT_THAT(cut, StartsWith("begin"));
  EXPECT_THAT(cut, EndsWith("end"));
  EXPECT_LT(cut.size(), 6100u);
}

TEST(Status, CutsBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 10000; ++i) text += "\xe2\x82\xac";
  const std::string cut = to_grpc(absl::InvalidArgumentError(text)).error_message();
  EXPECT_LT(cut.size(), 2100u);
  EXPECT_THAT(cut, StartsWith("\xe2\x82\xac"));
  const size_t gap = cut.find(" ... ");
  ASSERT_NE(gap, std::string::npos);
  EXPECT_EQ(gap % 3, 0u);
  EXPECT_EQ((cut.size() - gap - 5) % 3, 0u);
}

}  // namespace
}  // namespace tapewire::rpc
