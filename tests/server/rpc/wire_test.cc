#include "server/rpc/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/strings.h"
#include "core/tensor/allocator.h"
#include "grpcpp/support/slice.h"
#include "server/observe/memory_guard.h"
#include "tapewire/v1/autograd_service.pb.h"

namespace tapewire::rpc {
namespace {

using testing::HasSubstr;

int64_t live() { return tensor_allocator().stats().live; }

v1::ForwardResponse answer_of(size_t bytes) {
  v1::ForwardResponse answer;
  for (const char* name : {"a", "b"}) {
    v1::NamedTensor* tensor = answer.add_outputs();
    tensor->set_name(name);
    tensor->mutable_tensor()->add_shape(static_cast<int64_t>(bytes));
    tensor->mutable_tensor()->set_data(std::string(bytes, *name));
  }
  answer.set_parameter_version(7);
  return answer;
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

grpc::ByteBuffer in_slices(const std::string& bytes, size_t each) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += each) {
    slices.emplace_back(bytes.substr(at, each));
  }
  return {slices.data(), slices.size()};
}

TEST(SerializeMessageTest, GivesTheSameBytesWhetherItCopiesOrNot) {
  for (const size_t bytes : {0u, 100u, 5000u, 40'000u, 70'000u, 3'000'000u}) {
    v1::ForwardResponse answer = answer_of(bytes);
    const std::string wanted = answer.SerializeAsString();
    EXPECT_EQ(bytes_of(*serialize_message(answer, {})), wanted);
    EXPECT_EQ(bytes_of(*serialize_message(std::move(answer), {})), wanted);
  }
}

TEST(SerializeMessageTest, ALargeAnswerCountsUntilItIsSent) {
  const int64_t before = live();
  {
    const absl::StatusOr<grpc::ByteBuffer> buffer = serialize_message(answer_of(1'000'000), {});
    EXPECT_GE(live() - before, 2'000'000);
    EXPECT_LT(live() - before, 2'100'000);
  }
  EXPECT_EQ(live(), before);
}

TEST(SerializeMessageTest, AnAnswerOverTheLimitIsRefused) {
  const auto status = serialize_message(answer_of(100'000), {.max_message_bytes = 150'000}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(to_std(status.message()), HasSubstr("--max_message_bytes=150000"));
}

TEST(ParseMessageTest, ReadsLargeMessagesFromSlicesOfAnySize) {
  for (const size_t each : {20u, 64u, 1000u, 8192u, 1'000'000u, 10'000'000u}) {
    const v1::ForwardResponse sent = answer_of(3'000'000);
    grpc::ByteBuffer buffer = in_slices(sent.SerializeAsString(), each);
    v1::ForwardResponse got;
    ASSERT_TRUE(parse_message(buffer, got, {}).ok());
    EXPECT_EQ(got.SerializeAsString(), sent.SerializeAsString());
  }
}

TEST(ParseMessageTest, ALargeMessageThatDoesNotParseIsRefused) {
  std::string bytes = answer_of(3'000'000).SerializeAsString();
  bytes.resize(bytes.size() - 1'000'000);
  grpc::ByteBuffer buffer = in_slices(bytes, 8192);
  v1::ForwardResponse got;
  EXPECT_EQ(parse_message(buffer, got, {}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ParseMessageTest, AMessageThatTensorMemoryHasNoRoomForIsRefused) {
  const std::string bytes = answer_of(1'000'000).SerializeAsString();
  const int64_t limit = tensor_allocator().limit();
  tensor_allocator().set_limit(live() + 1'500'000, "--tensor_memory_limit");
  grpc::ByteBuffer buffer = in_slices(bytes, 8192);
  v1::ForwardResponse got;
  const absl::Status status = parse_message(buffer, got, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(to_std(status.message()), HasSubstr("--tensor_memory_limit"));
  const std::string small = answer_of(1000).SerializeAsString();
  grpc::ByteBuffer next = in_slices(small, 8192);
  EXPECT_TRUE(parse_message(next, got, {}).ok());
  tensor_allocator().set_limit(limit, "tensor memory limit");
}

TEST(ParseMessageTest, TheGuardIsAskedForLargeMessagesAlone) {
  MemoryGuard full({.limit = 1, .resident = [] { return int64_t{1000}; }, .release = [] {}});
  const WireLimits limits{.memory = &full};
  v1::ForwardResponse got;
  grpc::ByteBuffer small = in_slices(answer_of(1000).SerializeAsString(), 8192);
  EXPECT_TRUE(parse_message(small, got, limits).ok());
  grpc::ByteBuffer large = in_slices(answer_of(100'000).SerializeAsString(), 8192);
  EXPECT_EQ(parse_message(large, got, limits).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tapewire::rpc
