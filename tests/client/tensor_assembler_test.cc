#include "client/cpp/tensor_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "client/cpp/tensor.h"

namespace tapewire::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::TensorChunk piece(const std::string& name, int64_t size, int64_t offset, const std::string& data) {
  v1::TensorChunk chunk;
  chunk.set_name(name);
  chunk.set_dtype(v1::DATA_TYPE_INT32);
  chunk.add_shape(size);
  chunk.set_offset(offset);
  chunk.set_data(data);
  return chunk;
}

std::string refusal(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  return std::string(status.message());
}

TEST(TensorAssemblerTest, PutsPiecesOfAnyLengthTogether) {
  TensorAssembler assembler;
  ASSERT_TRUE(assembler.add(piece("a", 2, 0, std::string("\1\0\0", 3))).ok());
  ASSERT_TRUE(assembler.add(piece("a", 2, 3, "")).ok());
  ASSERT_TRUE(assembler.add(piece("a", 2, 3, std::string("\0\2\0\0\0", 5))).ok());
  ASSERT_TRUE(assembler.add(piece("none", 0, 0, "")).ok());
  const auto tensors = std::move(assembler).take();
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  EXPECT_THAT(*view<int32_t>(tensors->at("a")), ElementsAre(1, 2));
  EXPECT_EQ(tensors->at("none").data(), "");
}

TEST(TensorAssemblerTest, BytesBeyondATensorAreRefusedWhenTheyCome) {
  // An item too many at once, and in a later piece.
  EXPECT_THAT(refusal(TensorAssembler().add(piece("a", 2, 0, std::string(12, '\0')))), HasSubstr("more bytes"));
  TensorAssembler assembler;
  ASSERT_TRUE(assembler.add(piece("a", 2, 0, std::string(8, '\0'))).ok());
  EXPECT_THAT(refusal(assembler.add(piece("a", 2, 8, std::string(4, '\0')))), HasSubstr("more bytes"));
  EXPECT_THAT(refusal(TensorAssembler().add(piece("a", 0, 0, std::string(4, '\0')))), HasSubstr("more bytes"));
}

TEST(TensorAssemblerTest, AGapOrATensorCutShortIsRefused) {
  TensorAssembler gap;
  ASSERT_TRUE(gap.add(piece("a", 2, 0, std::string(4, '\0'))).ok());
  EXPECT_EQ(refusal(gap.add(piece("a", 2, 5, "x"))), "a: piece at byte 5 after 4");
  TensorAssembler next;
  ASSERT_TRUE(next.add(piece("a", 2, 0, std::string(4, '\0'))).ok());
  EXPECT_THAT(refusal(next.add(piece("b", 1, 0, std::string(4, '\0')))), HasSubstr("a: "));
  TensorAssembler last;
  ASSERT_TRUE(last.add(piece("a", 2, 0, std::string(7, '\0'))).ok());
  EXPECT_THAT(refusal(std::move(last).take().status()), HasSubstr("a: "));
}

}  // namespace
}  // namespace tapewire::client
