#include "server/codec/chunks.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/tensor/row_major.h"

namespace tapewire::codec {

int64_t decode_chunk_bytes(int64_t asked) {
  if (asked < 0 || asked > kMaxChunkBytes) {
    fail("chunk_bytes: expects 1 to ", kMaxChunkBytes, ", or 0 for ", kDefaultChunkBytes, ", got ", asked);
  }
  return asked == 0 ? kDefaultChunkBytes : asked;
}

bool ChunkReader::next(v1::TensorChunk& chunk) {
  if (current_ == tensors_.size()) return false;
  NamedTensor& named = tensors_[current_];
  if (offset_ == 0) {
    named.tensor = row_major(named.tensor);
    chunk.set_dtype(encode_dtype(named.tensor.dtype()));
    chunk.mutable_shape()->Assign(named.tensor.sizes().begin(), named.tensor.sizes().end());
  }
  // Whole elements, so that a chunk can be used as it comes.
  const auto item = static_cast<int64_t>(named.tensor.itemsize());
  const int64_t most = std::max(item, chunk_bytes_ / item * item);
  const auto total = static_cast<int64_t>(named.tensor.nbytes());
  const int64_t size = std::min(most, total - offset_);
  chunk.set_name(named.name);
  chunk.set_offset(offset_);
  chunk.mutable_data()->assign(static_cast<const char*>(named.tensor.raw_data()) + offset_, static_cast<size_t>(size));
  offset_ += size;
  if (offset_ == total) {
    named.tensor = Tensor();
    offset_ = 0;
    ++current_;
  }
  return true;
}

void ChunkAssembler::begin(const v1::TensorChunk& chunk) {
  const std::string where = str_cat("chunk of ", quoted(chunk.name()));
  if (complete_.contains(chunk.name())) fail(where, ": this tensor is already complete");
  if (chunk.offset() != 0) fail(where, ": expects offset 0 in a tensor's first chunk, got ", chunk.offset());
  const WireType type = wire_type(chunk.dtype(), where);
  Shape shape = wire_shape(chunk.shape(), where);
  const int64_t bytes = wire_bytes(type, shape, where, limits_);
  constexpr size_t kEach = 256;  // what a tensor has besides its name and data
  names_.add(kEach + 2 * chunk.name().size());
  partial_ = Partial{chunk.name(),
                     chunk.dtype(),
                     type,
                     std::move(shape),
                     bytes,
                     std::make_unique<std::string>(),
                     AdoptedCount(tensor_allocator())};
}

void ChunkAssembler::check_same(const v1::TensorChunk& chunk) const {
  const std::string where = str_cat("chunk of ", quoted(partial_->name));
  const auto have = static_cast<int64_t>(partial_->payload->size());
  if (chunk.name() != partial_->name) {
    fail(where, ": the tensor is not complete (", have, " of ", partial_->bytes, " bytes), but a chunk of ",
         quoted(chunk.name()), " came");
  }
  if (chunk.offset() != have) fail(where, ": expects offset ", have, ", got ", chunk.offset());
  if (chunk.dtype() != v1::DATA_TYPE_UNSPECIFIED && chunk.dtype() != partial_->wire_dtype) {
    fail(where, ": dtype differs from the first chunk's ", partial_->type.name);
  }
  if (!chunk.shape().empty() &&
      !std::equal(chunk.shape().begin(), chunk.shape().end(), partial_->shape.begin(), partial_->shape.end())) {
    fail(where, ": shape differs from the first chunk's ", to_string(Ints(partial_->shape)));
  }
}

std::optional<NamedTensor> ChunkAssembler::add(v1::TensorChunk&& chunk) {
  if (partial_) {
    check_same(chunk);
  } else {
    begin(chunk);
  }
  Partial& partial = *partial_;
  const int64_t left = partial.bytes - static_cast<int64_t>(partial.payload->size());
  const auto came = static_cast<int64_t>(chunk.data().size());
  const std::string where = str_cat("chunk of ", quoted(partial.name));
  if (came > left) {
    fail(where, ": tensor ", partial.type.name, to_string(Ints(partial.shape)), " expects ", partial.bytes,
         " bytes, got ", partial.bytes - left + came);
  }
  if (came == 0 && left > 0) fail(where, ": has no data; ", left, " bytes are missing");
  partial.memory.add(static_cast<size_t>(came));
  if (partial.payload->empty() && came == left) {
    partial.payload.reset(chunk.release_data());
  } else {
    // All at once, so that growing never holds the bytes twice; pages that nothing is written to cost nothing.
    partial.payload->reserve(static_cast<size_t>(partial.bytes));
    partial.payload->append(chunk.data());
  }
  if (came < left) return std::nullopt;
  partial.memory.clear();  // the tensor counts for itself
  NamedTensor tensor{partial.name, from_payload(std::move(partial.payload), partial.type, partial.shape, where)};
  complete_.insert(partial.name);
  partial_.reset();
  return tensor;
}

void ChunkAssembler::finish() const {
  if (!partial_) return;
  fail("chunk of ", quoted(partial_->name),
       ": the stream ended before the tensor was complete: ", partial_->payload->size(), " of ", partial_->bytes,
       " bytes");
}

}  // namespace tapewire::codec
