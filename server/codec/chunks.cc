#include "server/codec/chunks.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/base/error.h"
#include "core/base/mutex.h"
#include "core/base/suggest.h"
#include "core/tensor/allocator.h"
#include "core/tensor/row_major.h"

namespace tapewire::codec {
namespace {

using Clock = std::chrono::steady_clock;

// What there is of one kind, known to all threads.
template <class T>
struct Registry {
  Mutex mutex;
  std::vector<T*> all TW_GUARDED_BY(mutex);

  // Never destroyed: the allocator asks for as long as there are tensors.
  static Registry& instance() {
    static auto* registry = new Registry;
    return *registry;
  }
  void add(T* one) TW_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    all.push_back(one);
  }
  void remove(T* one) TW_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    std::erase(all, one);
  }
};

}  // namespace

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
    Registry<Source>::instance().add(this);
  }
  ~Source() { Registry<Source>::instance().remove(this); }
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
    auto& registry = Registry<Source>::instance();
    MutexLock lock(registry.mutex);
    // How often readers hold a buffer: who else does would keep it.
    std::unordered_map<const Buffer*, uint32_t> held;
    for (Source* source : registry.all) {
      MutexLock source_lock(source->mutex_);
      for (const NamedTensor& t : source->tensors_) {
        if (t.tensor.defined()) ++held[t.tensor.storage().share_buffer().get()];
      }
    }
    Source* longest = nullptr;
    Clock::time_point asked = Clock::time_point::max();
    for (Source* source : registry.all) {
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

// What has come of a state.
class ChunkAssembler::Parts {
 public:
  void add(v1::TensorChunk&& chunk, const Limits& limits) {
    if (partial_) {
      check_same(chunk);
    } else {
      begin(chunk, limits);
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
    if (came < left) return;
    partial.memory.clear();  // the tensor counts for itself
    complete_.push_back({partial.name, from_payload(std::move(partial.payload), partial.type, partial.shape, where)});
    names_.insert(partial.name);
    partial_.reset();
  }

  std::vector<NamedTensor> finish() && {
    if (partial_) {
      fail("chunk of ", quoted(partial_->name),
           ": the stream ended before the tensor was complete: ", partial_->payload->size(), " of ", partial_->bytes,
           " bytes");
    }
    return std::move(complete_);
  }

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

  void begin(const v1::TensorChunk& chunk, const Limits& limits) {
    const std::string where = str_cat("chunk of ", quoted(chunk.name()));
    if (names_.contains(chunk.name())) fail(where, ": this tensor is already complete");
    if (chunk.offset() != 0) fail(where, ": expects offset 0 in a tensor's first chunk, got ", chunk.offset());
    const WireType type = wire_type(chunk.dtype(), where);
    Shape shape = wire_shape(chunk.shape(), where);
    const int64_t bytes = wire_bytes(type, shape, where, limits);
    constexpr size_t kEach = 256;  // what a tensor has besides its name and data
    besides_.add(kEach + 2 * chunk.name().size());
    partial_ = Partial{chunk.name(),
                       chunk.dtype(),
                       type,
                       std::move(shape),
                       bytes,
                       std::make_unique<std::string>(),
                       AdoptedCount(tensor_allocator())};
  }

  void check_same(const v1::TensorChunk& chunk) const {
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

  std::optional<Partial> partial_;
  std::vector<NamedTensor> complete_;
  std::unordered_set<std::string> names_;  // of the complete ones
  AdoptedCount besides_{tensor_allocator()};
};

// The parts of one stream between two of its chunks, known to all threads. Who adds a chunk takes them out, so they are
// not let go for memory that they need themselves.
class ChunkAssembler::Kept {
 public:
  Kept() { Registry<Kept>::instance().add(this); }
  ~Kept() { Registry<Kept>::instance().remove(this); }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  std::unique_ptr<Parts> take() TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (let_go_) {
      fail_with(absl::StatusCode::kResourceExhausted,
                "memory was short while the rest of the state did not come, so what had come was let go "
                "(--tensor_memory_limit); send it again");
    }
    return parts_ ? std::move(parts_) : std::make_unique<Parts>();
  }
  void put(std::unique_ptr<Parts> parts) TW_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    parts_ = std::move(parts);
    came_ = Clock::now();
  }

  static bool let_go_of_longest_idle() {
    std::unique_ptr<Parts> gone;  // after all locks
    auto& registry = Registry<Kept>::instance();
    MutexLock lock(registry.mutex);
    Kept* longest = nullptr;
    Clock::time_point came = Clock::time_point::max();
    for (Kept* kept : registry.all) {
      MutexLock kept_lock(kept->mutex_);
      if (kept->parts_ != nullptr && kept->came_ < came) {
        longest = kept;
        came = kept->came_;
      }
    }
    if (longest == nullptr) return false;
    MutexLock kept_lock(longest->mutex_);
    longest->let_go_ = longest->parts_ != nullptr;
    gone = std::move(longest->parts_);
    return true;
  }

 private:
  Mutex mutex_;
  std::unique_ptr<Parts> parts_ TW_GUARDED_BY(mutex_);  // none: nothing came, in use, or let go
  bool let_go_ TW_GUARDED_BY(mutex_) = false;
  Clock::time_point came_ TW_GUARDED_BY(mutex_);
};

ChunkAssembler::ChunkAssembler(const Limits& limits) : limits_(limits), kept_(std::make_unique<Kept>()) {}
ChunkAssembler::~ChunkAssembler() = default;

bool ChunkAssembler::let_go_of_longest_idle() { return Kept::let_go_of_longest_idle(); }

void ChunkAssembler::add(v1::TensorChunk&& chunk) {
  std::unique_ptr<Parts> parts = kept_->take();
  parts->add(std::move(chunk), limits_);
  kept_->put(std::move(parts));
}

std::vector<NamedTensor> ChunkAssembler::finish() { return std::move(*kept_->take()).finish(); }

}  // namespace tapewire::codec
