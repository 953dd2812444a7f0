#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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
/// stream can hold no more than the limit. Throws Error; after that the stream is at its end. One thread at a time.
class ChunkAssembler {
 public:
  explicit ChunkAssembler(const Limits& limits);
  ~ChunkAssembler();
  ChunkAssembler(const ChunkAssembler&) = delete;
  ChunkAssembler& operator=(const ChunkAssembler&) = delete;

  /// Throws RESOURCE_EXHAUSTED when what had come was let go since the last chunk, since memory was short.
  void add(v1::TensorChunk&& chunk);
  /// The tensors in the order in which they came. Throws when the last is not complete, and like add.
  std::vector<NamedTensor> finish();

  /// Lets go of what the stream that was longest silent has sent: a state that is half sent must not stop what changes
  /// the model. False when there is none. From any thread; for CachingAllocator::set_reclaim.
  static bool let_go_of_longest_idle();

 private:
  class Parts;
  class Kept;
  const Limits limits_;
  const std::unique_ptr<Kept> kept_;
};

}  // namespace tapewire::codec
