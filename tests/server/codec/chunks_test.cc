#include "server/codec/chunks.h"

#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>

#include "core/tensor/allocator.h"
#include "gmock/gmock.h"

namespace tapewire::codec {
namespace {

using testing::HasSubstr;

const Limits kLimits{.max_tensor_bytes = 1 << 20};

Tensor counting(Ints sizes) {
  Tensor tensor = Tensor::empty(sizes, DType::kInt32);
  auto* data = tensor.mutable_data<int32_t>();
  std::iota(data, data + tensor.numel(), 0);
  return tensor;
}

v1::TensorChunk first(const std::string& name, int64_t count, std::string data) {
  v1::TensorChunk chunk;
  chunk.set_name(name);
  chunk.set_dtype(v1::DATA_TYPE_UINT8);
  chunk.add_shape(count);
  chunk.set_data(std::move(data));
  return chunk;
}

v1::TensorChunk later(const std::string& name, int64_t offset, std::string data) {
  v1::TensorChunk chunk;
  chunk.set_name(name);
  chunk.set_offset(offset);
  chunk.set_data(std::move(data));
  return chunk;
}

// The message of the error that the last of these chunks meets.
std::string error_of(std::vector<v1::TensorChunk> chunks) {
  ChunkAssembler assembler(kLimits);
  for (size_t i = 0; i < chunks.size(); ++i) {
    try {
      assembler.add(std::move(chunks[i]));
    } catch (const Error& error) {
      EXPECT_EQ(i + 1, chunks.size()) << error.message();
      return error.message();
    }
  }
  try {
    assembler.finish();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(Chunks, TensorsGoThereAndBackInAnyChunkSize) {
  for (const int64_t bytes : {1, 3, 4, 10, 100, 1 << 20}) {
    ChunkReader reader({{"a", counting(Shape{7, 5})}, {"none", counting(Shape{0, 3})}, {"scalar", counting(Shape{})}},
                       bytes);
    ChunkAssembler assembler(kLimits);
    for (v1::TensorChunk chunk; reader.next(chunk); chunk.Clear()) {
      EXPECT_LE(chunk.data().size(), static_cast<size_t>(std::max<int64_t>(bytes, 4)));
      assembler.add(std::move(chunk));
    }
    const std::vector<NamedTensor> back = assembler.finish();
    ASSERT_EQ(back.size(), 3u);
    EXPECT_EQ(back[0].name, "a");
    EXPECT_EQ(back[0].tensor.sizes(), (Shape{7, 5}));
    EXPECT_EQ(std::memcmp(back[0].tensor.raw_data(), counting(Shape{35}).raw_data(), 140), 0);
    EXPECT_EQ(back[1].tensor.sizes(), (Shape{0, 3}));
    EXPECT_EQ(back[2].tensor.item<int>(), 0);
  }
}

TEST(Chunks, HeaderComesOnceInTheFirstChunk) {
  ChunkReader reader({{"a", counting(Shape{4})}}, 8);
  v1::TensorChunk one, two, three;
  ASSERT_TRUE(reader.next(one));
  ASSERT_TRUE(reader.next(two));
  EXPECT_FALSE(reader.next(three));
  EXPECT_EQ(one.dtype(), v1::DATA_TYPE_INT32);
  EXPECT_EQ(one.shape_size(), 1);
  EXPECT_EQ(two.dtype(), v1::DATA_TYPE_UNSPECIFIED);
  EXPECT_EQ(two.offset(), 8);
}

TEST(Chunks, GapsOverlapsAndStrangersAreRefused) {
  EXPECT_EQ(error_of({first("a", 4, "xy"), later("a", 3, "z")}), "chunk of 'a': expects offset 2, got 3");
  EXPECT_EQ(error_of({first("a", 4, "xy"), later("a", 1, "z")}), "chunk of 'a': expects offset 2, got 1");
  EXPECT_EQ(error_of({first("a", 4, "xy"), later("b", 0, "z")}),
            "chunk of 'a': the tensor is not complete (2 of 4 bytes), but a chunk of 'b' came");
  EXPECT_EQ(error_of({later("a", 2, "z")}), "chunk of 'a': expects offset 0 in a tensor's first chunk, got 2");
  EXPECT_EQ(error_of({first("a", 1, "x"), first("a", 1, "y")}), "chunk of 'a': this tensor is already complete");
}

TEST(Chunks, TooMuchAndTooLittleAreRefused) {
  EXPECT_EQ(error_of({first("a", 4, "xy"), later("a", 2, "zzz")}),
            "chunk of 'a': tensor uint8[4] expects 4 bytes, got 5");
  EXPECT_EQ(error_of({first("a", 4, "xy")}),
            "chunk of 'a': the stream ended before the tensor was complete: 2 of 4 bytes");
  EXPECT_THAT(error_of({first("a", 4, "")}), HasSubstr("has no data"));
  EXPECT_THAT(error_of({first("a", 1 << 21, "x")}), HasSubstr("--max_tensor_bytes"));
  EXPECT_THAT(error_of({first("a", -4, "x")}), HasSubstr("chunk of 'a': shape"));
}

TEST(Chunks, LaterHeadersMustAgree) {
  v1::TensorChunk same = later("a", 2, "zz"), dtype = same, shape = same;
  same.set_dtype(v1::DATA_TYPE_UINT8);
  same.add_shape(4);
  EXPECT_EQ(error_of({first("a", 4, "xy"), same}), "no error");
  dtype.set_dtype(v1::DATA_TYPE_BOOL);
  EXPECT_EQ(error_of({first("a", 4, "xy"), dtype}), "chunk of 'a': dtype differs from the first chunk's uint8");
  shape.add_shape(5);
  EXPECT_EQ(error_of({first("a", 4, "xy"), shape}), "chunk of 'a': shape differs from the first chunk's [4]");
}

TEST(Chunks, ChunkBytesHaveADefaultAndARange) {
  EXPECT_EQ(decode_chunk_bytes(0), 1 << 20);
  EXPECT_EQ(decode_chunk_bytes(17), 17);
  EXPECT_THROW(decode_chunk_bytes(-1), Error);
  EXPECT_THROW(decode_chunk_bytes(kMaxChunkBytes + 1), Error);
}

// A reader of the bytes that `tensor` has now, as of a snapshot.
ChunkReader snapshot_reader(const Tensor& tensor, int64_t chunk_bytes = 8) {
  return ChunkReader({{"t", Tensor::over(tensor.storage().share_buffer(), tensor.sizes(), tensor.dtype())}},
                     chunk_bytes);
}

TEST(ChunkReaderTest, WhatIsOnlyReadIsLetGoTheLongestIdleFirst) {
  const Tensor tensor = counting(Shape{8});
  ChunkReader first = snapshot_reader(tensor);
  tensor.mutable_data<int32_t>()[0] = 1;
  ChunkReader second = snapshot_reader(tensor);
  tensor.mutable_data<int32_t>()[0] = 2;
  v1::TensorChunk chunk;
  ASSERT_TRUE(second.next(chunk));
  ASSERT_TRUE(first.next(chunk));
  const int64_t before = tensor_allocator().stats().live;
  EXPECT_TRUE(ChunkReader::let_go_of_longest_idle());
  EXPECT_LT(tensor_allocator().stats().live, before);
  try {
    second.next(chunk);
    FAIL() << "its tensors are gone";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(error.message(), HasSubstr("--tensor_memory_limit"));
  }
  EXPECT_TRUE(first.next(chunk));
  EXPECT_TRUE(ChunkReader::let_go_of_longest_idle());
  EXPECT_THROW(first.next(chunk), Error);
  EXPECT_FALSE(ChunkReader::let_go_of_longest_idle());
}

TEST(ChunkReaderTest, WhatTheModelHoldsTooIsKept) {
  const Tensor tensor = counting(Shape{8});
  ChunkReader reader = snapshot_reader(tensor);
  EXPECT_FALSE(ChunkReader::let_go_of_longest_idle());
  v1::TensorChunk chunk;
  EXPECT_TRUE(reader.next(chunk));
}

TEST(ChunkReaderTest, BytesThatSeveralReadersShareAreLetGoWithTheLast) {
  const Tensor tensor = counting(Shape{8});
  ChunkReader first = snapshot_reader(tensor);
  ChunkReader second = snapshot_reader(tensor);
  tensor.mutable_data<int32_t>()[0] = 1;
  EXPECT_TRUE(ChunkReader::let_go_of_longest_idle());
  EXPECT_TRUE(ChunkReader::let_go_of_longest_idle());
  EXPECT_FALSE(ChunkReader::let_go_of_longest_idle());
}

TEST(ChunkReaderTest, AReaderThatIsDoneHoldsNothing) {
  {
    const Tensor tensor = counting(Shape{8});
    ChunkReader reader = snapshot_reader(tensor, 1 << 20);
    tensor.mutable_data<int32_t>()[0] = 1;
    v1::TensorChunk chunk;
    EXPECT_TRUE(reader.next(chunk));
    EXPECT_FALSE(ChunkReader::let_go_of_longest_idle());
    EXPECT_FALSE(reader.next(chunk));
  }
  EXPECT_FALSE(ChunkReader::let_go_of_longest_idle());
}

TEST(ChunkAssemblerTest, TheStreamLongestSilentIsLetGoFirst) {
  ChunkAssembler silent(kLimits);
  ChunkAssembler busy(kLimits);
  const int64_t before = tensor_allocator().stats().live;
  busy.add(first("a", 4096, std::string(2048, 'x')));
  silent.add(first("a", 4096, std::string(4096, 'x')));
  silent.add(first("b", 4096, std::string(2048, 'x')));
  busy.add(later("a", 2048, std::string(2048, 'y')));
  EXPECT_GT(tensor_allocator().stats().live, before + 3 * 4096 - 2048);
  EXPECT_TRUE(ChunkAssembler::let_go_of_longest_idle());
  EXPECT_LT(tensor_allocator().stats().live, before + 2 * 4096) << "what was complete goes with the rest";
  for (int i = 0; i < 2; ++i) {
    try {
      silent.add(later("b", 2048, std::string(2048, 'y')));
      FAIL() << "what had come is gone";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
      EXPECT_THAT(error.message(), HasSubstr("--tensor_memory_limit"));
    }
  }
  EXPECT_THROW(silent.finish(), Error);
  const std::vector<NamedTensor> state = busy.finish();
  ASSERT_EQ(state.size(), 1u);
  EXPECT_EQ(std::string_view(static_cast<const char*>(state[0].tensor.raw_data()), 4096),
            std::string(2048, 'x') + std::string(2048, 'y'));
  EXPECT_FALSE(ChunkAssembler::let_go_of_longest_idle()) << "a state that is whole waits for the server";
}

TEST(ChunkAssemblerTest, AStreamIsNotLetGoForItsOwnChunk) {
  tensor_allocator().set_reclaim([] { return ChunkAssembler::let_go_of_longest_idle(); });
  tensor_allocator().release_cached();
  tensor_allocator().set_limit(tensor_allocator().stats().live + 65536, "--tensor_memory_limit");
  ChunkAssembler other(kLimits), large(kLimits);
  other.add(first("a", 40000, std::string(20000, 'x')));
  large.add(first("a", 90000, std::string(40000, 'x')));
  large.add(later("a", 40000, std::string(20000, 'x')));  // takes what the other stream had
  EXPECT_THROW(other.add(later("a", 20000, "x")), Error);
  try {
    large.add(later("a", 60000, std::string(20000, 'x')));
    FAIL() << "passes the limit";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("20000 bytes more"));
  }
  tensor_allocator().set_limit(std::numeric_limits<int64_t>::max(), "tensor memory limit");
  tensor_allocator().set_reclaim(nullptr);
}

}  // namespace
}  // namespace tapewire::codec
