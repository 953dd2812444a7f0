#include "server/codec/chunks.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/suggest.h"
#include "core/tensor/row_major.h"

namespace tapewire::codec {

int64_t decode_chunk_bytes(int64_t asked) {
  if (asked < 0 || asked > kMaxChunkBytes) {
    fail("chunk_bytes: expects 1 to ", kMaxChunkBytes, ", or 0 for ", kDefaultChunkBytes, ", got ", asked);
  }
  return asked == 0 ? kDefaultChunkBytes : asked;
}

// The tensors of one reader, known to all threads.
class ChunkReader::Source {
 public:
  explicit Source(std::vector<NamedTensor> tensors) : tensors_(std::move(tensors)), count_(tensors_.size()) {
    Registry& registry = Registry::instance();
    MutexLock lock(registry.mutex);
    registry.sources.push_back(this);
  }
  ~Source() {
    Registry& registry = Registry::instance();
    MutexLock lock(registry.mutex);
    std::erase(registry.sources, this);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  size_t count() const { return count_; }

  NamedTensor get(size_t i) TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (tensors_.empty()) {
      fail_with(absl::StatusCode::kResourceExhausted,
                "memory was short while the client did not read, so what was left to read was let go "
                "(--tensor_memory_limit); read again");
    }
    asked_ = Clock::now();
    return tensors_[i];
  }
  void replace(size_t i, Tensor tensor) TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (!tensors_.empty()) tensors_[i].tensor = std::move(tensor);
  }

  static bool let_go_of_longest_idle() {
    std::vector<NamedTensor> gone;  // after all locks
    Registry& registry = Registry::instance();
    MutexLock lock(registry.mutex);
    // How often readers hold a buffer: who else does would keep it.
    std::unordered_map<const Buffer*, uint32_t> held;
    for (Source* source : registry.sources) {
      MutexLock source_lock(source->mutex_);
      for (const NamedTensor& t : source->tensors_) {
        if (t.tensor.defined()) ++held[t.tensor.storage().share_buffer().get()];
      }
    }
    Source* longest = nullptr;
    Clock::time_point asked = Clock::time_point::max();
    for (Source* source : registry.sources) {
      MutexLock source_lock(source->mutex_);
      if (source->asked_ < asked && source->frees_any(held)) {
        longest = source;
        asked = source->asked_;
      }
    }
    if (longest == nullptr) return false;
    MutexLock source_lock(longest->mutex_);
    gone.swap(longest->tensors_);
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Registry {
    Mutex mutex;
    std::vector<Source*> sources TW_GUARDED_BY(mutex);

    // Never destroyed: the allocator asks for as long as there are tensors.
    static Registry& instance() {
      static auto* registry = new Registry;
      return *registry;
    }
  };

  bool frees_any(const std::unordered_map<const Buffer*, uint32_t>& held) const TW_REQUIRES(mutex_) {
    return std::ranges::any_of(tensors_, [&](const NamedTensor& t) {
      if (!t.tensor.defined()) return false;
      const Ref<Buffer> buffer = t.tensor.storage().share_buffer();
      const auto found = held.find(buffer.get());
      return found != held.end() && buffer->use_count() == found->second + 1 && buffer->size() > 0;
    });
  }

  Mutex mutex_;
  std::vector<NamedTensor> tensors_ TW_GUARDED_BY(mutex_);  // empty once they were let go
  Clock::time_point asked_ TW_GUARDED_BY(mutex_) = Clock::now();
  const size_t count_;
};

ChunkReader::ChunkReader(std::vector<NamedTensor> tensors, int64_t chunk_bytes)
    : source_(std::make_shared<Source>(std::move(tensors))), chunk_bytes_(chunk_bytes) {}

bool ChunkReader::let_go_of_longest_idle() { return Source::let_go_of_longest_idle(); }

bool ChunkReader::next(v1::TensorChunk& chunk) {
  if (current_ == source_->count()) return false;
  NamedTensor named = source_->get(current_);
  if (offset_ == 0) {
    named.tensor = row_major(named.tensor);
    source_->replace(current_, named.tensor);
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
    source_->replace(current_, Tensor());
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
