#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/tensor/allocator.h"
#include "server/codec/payload.h"
#include "server/codec/tensor_codec.h"

namespace tapewire::codec {

inline constexpr int64_t kDefaultChunkBytes = int64_t{1} << 20;
inline constexpr int64_t kMaxChunkBytes = int64_t{2} << 20;

/// What a request's chunk_bytes asks for: 0 is the default; INVALID_ARGUMENT when out of range.
int64_t decode_chunk_bytes(int64_t asked);

/// Cuts tensors into chunks, in order. REQUIRES: nobody writes the tensors meanwhile (they are a snapshot). One thread
/// at a time.
class ChunkReader {
 public:
  ChunkReader(std::vector<NamedTensor> tensors, int64_t chunk_bytes);

  /// The next chunk into an empty message; false after the last. A tensor without elements is one empty chunk. Throws
  /// RESOURCE_EXHAUSTED when the tensors were let go in between, since memory was short.
  bool next(v1::TensorChunk& chunk);

  /// Lets go of the tensors of the reader that was longest not asked for a chunk, among those that hold what nobody but
  /// readers holds: a snapshot that a client does not fetch must not stop what changes the model. False when there is
  /// none. From any thread; for CachingAllocator::set_reclaim.
  static bool let_go_of_longest_idle();

 private:
  class Source;
  std::shared_ptr<Source> source_;
  int64_t chunk_bytes_;
  size_t current_ = 0;
  int64_t offset_ = 0;
};

/// Puts tensors together from the chunks of a stream. What has come counts as tensor memory at once, names too: a
/// stream can hold no more than the limit. Throws Error; after that the stream is at its end.
class ChunkAssembler {
 public:
  explicit ChunkAssembler(const Limits& limits) : limits_(limits) {}

  /// The tensor that this chunk completes, if it does.
  std::optional<NamedTensor> add(v1::TensorChunk&& chunk);
  /// Throws when a tensor is not complete: call it at the stream's end.
  void finish() const;

 private:
  struct Partial {
    std::string name;
    v1::DataType wire_dtype;
    WireType type;
    Shape shape;
    int64_t bytes;
    std::unique_ptr<std::string> payload;
    AdoptedCount memory;  // of the payload
  };
  void begin(const v1::TensorChunk& chunk);
  void check_same(const v1::TensorChunk& chunk) const;

  Limits limits_;
  std::optional<Partial> partial_;
  std::unordered_set<std::string> complete_;
  AdoptedCount names_{tensor_allocator()};  // memory besides the payloads
};

}  // namespace tapewire::codec
