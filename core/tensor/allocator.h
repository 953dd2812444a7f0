#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"

namespace tapewire {

/// Memory for tensors: 64-byte aligned blocks, counted and kept for reuse by size class (four classes a power of two).
/// What is live and what is kept for reuse is never more than the limit together: a request that would pass it takes
/// from the kept blocks of other classes first, those longest unused and then the largest. Blocks of 256 KiB and more
/// are mappings of their own, which the system gets back at once when they are let go. Thread-safe. Under
/// AddressSanitizer nothing is kept, so that use after free is seen.
class CachingAllocator {
 public:
  static constexpr size_t kAlignment = 64;
  /// What every block has beside a power of two of bytes, so that a Buffer's header does not make it a class larger.
  static constexpr size_t kHeader = kAlignment;

  struct Stats {
    int64_t live = 0;    // bytes handed out, adopted ones included
    int64_t cached = 0;  // bytes kept for reuse
    int64_t peak = 0;    // the most that was ever live
  };

  CachingAllocator() = default;
  ~CachingAllocator();
  CachingAllocator(const CachingAllocator&) = delete;
  CachingAllocator& operator=(const CachingAllocator&) = delete;

  /// At least `bytes` of uninitialised memory. Throws RESOURCE_EXHAUSTED when the limit would be passed or the system
  /// has none left.
  void* allocate(size_t bytes);
  /// Gives back what allocate(bytes) returned.
  void deallocate(void* block, size_t bytes) noexcept;

  /// Counts memory that others allocated (adopted request bytes); throws like allocate.
  void count_adopted(size_t bytes);
  /// The same for memory that is in use already and cannot be refused: may pass the limit, and then nothing else is
  /// given out until enough has been let go.
  void count_unchecked(size_t bytes) noexcept;
  void uncount_adopted(size_t bytes) noexcept;

  /// The most bytes that may be live or kept; `name` (of the setting) is quoted in the error. At most half of them are
  /// kept for reuse from now on.
  void set_limit(int64_t bytes, std::string name);
  int64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  /// The most bytes kept for reuse; above it blocks go back to the system.
  void set_cache_limit(int64_t bytes);

  /// What is asked when the limit would be passed and nothing is kept any more: lets go of something that is worth less
  /// than a new allocation, and says whether it did. Called from any thread; must not allocate or count. At most once,
  /// before the first use by other threads.
  void set_reclaim(std::function<bool()> reclaim) { reclaim_ = std::move(reclaim); }

  /// Asked before a block of a MiB or more is taken from the system: whether the process may hold so many bytes more.
  /// For what this does not count. Called from any thread, outside of locks. At most once, before the first use by
  /// other threads.
  void set_may_grow(std::function<bool(size_t bytes)> may_grow) { may_grow_ = std::move(may_grow); }

  Stats stats() const;
  void reset_peak();
  /// Gives all kept blocks back to the system.
  void release_cached() noexcept;

 private:
  static constexpr size_t kClasses = 160;
  struct Bin {
    Mutex mutex;
    std::vector<void*> blocks TW_GUARDED_BY(mutex);
    uint64_t used TW_GUARDED_BY(mutex) = 0;  // clock_ when a block of it was last asked for
  };
  struct SizeClass {
    size_t index;
    size_t bytes;
  };

  static SizeClass size_class(size_t bytes);
  static size_t class_bytes(size_t index);
  void* take_kept(const SizeClass& fit);
  void* allocate_new(const SizeClass& fit);
  void reserve(int64_t bytes);
  void add_live(int64_t bytes) noexcept;
  /// Gives back kept blocks of `bytes` in all, or all there are; how much that was.
  int64_t give_back(int64_t bytes) noexcept;

  std::array<Bin, kClasses> bins_;
  std::atomic<uint64_t> clock_{0};  // counts what was not found among the kept blocks
  std::atomic<int64_t> live_{0};
  std::atomic<int64_t> held_{0};  // live and kept
  std::atomic<int64_t> peak_{0};
  std::atomic<int64_t> limit_{std::numeric_limits<int64_t>::max()};
  std::atomic<int64_t> cache_limit_{int64_t{1} << 30};
  std::function<bool(size_t)> may_grow_;
  std::function<bool()> reclaim_;
  mutable Mutex name_mutex_;
  std::string limit_name_ TW_GUARDED_BY(name_mutex_) = "tensor memory limit";
};

/// The allocator that tensors of this process use. Never destroyed, so tensors may outlive main.
CachingAllocator& tensor_allocator();

/// Counts memory beside tensors' own (chunks of one that is still coming, a definition, an answer on its way) as if it
/// were theirs, and gives the count back when destroyed. One thread at a time.
class AdoptedCount {
 public:
  explicit AdoptedCount(CachingAllocator& allocator = tensor_allocator()) : allocator_(&allocator) {}
  AdoptedCount(AdoptedCount&& other) noexcept : allocator_(other.allocator_), bytes_(std::exchange(other.bytes_, 0)) {}
  AdoptedCount& operator=(AdoptedCount&& other) noexcept {
    std::swap(allocator_, other.allocator_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~AdoptedCount() { clear(); }

  /// Throws like CachingAllocator::allocate, and then counts nothing more than before.
  void add(size_t bytes) {
    allocator_->count_adopted(bytes);
    bytes_ += bytes;
  }
  /// Never refused; see CachingAllocator::count_unchecked.
  void add_unchecked(size_t bytes) noexcept {
    allocator_->count_unchecked(bytes);
    bytes_ += bytes;
  }
  /// REQUIRES: no more than bytes().
  void remove(size_t bytes) noexcept {
    allocator_->uncount_adopted(bytes);
    bytes_ -= bytes;
  }
  void clear() noexcept { remove(bytes_); }
  /// Counts on without this; who takes over gives it back.
  void keep() noexcept { bytes_ = 0; }
  size_t bytes() const { return bytes_; }

 private:
  CachingAllocator* allocator_;
  size_t bytes_ = 0;
};

/// Memory of a container counts as that of tensors, and is refused like theirs.
template <class T>
struct CountedAllocator {
  using value_type = T;

  CountedAllocator() = default;
  template <class U>
  CountedAllocator(const CountedAllocator<U>&) {}  // NOLINT(google-explicit-constructor): as the standard asks

  T* allocate(size_t count) {
    AdoptedCount counted;
    counted.add(count * sizeof(T));  // count is at most a container's max_size()
    T* memory = std::allocator<T>().allocate(count);
    counted.keep();
    return memory;
  }
  void deallocate(T* memory, size_t count) noexcept {
    std::allocator<T>().deallocate(memory, count);
    tensor_allocator().uncount_adopted(count * sizeof(T));
  }
  friend bool operator==(const CountedAllocator&, const CountedAllocator&) { return true; }
};

/// For working memory whose size a client chooses.
template <class T>
using CountedVector = std::vector<T, CountedAllocator<T>>;

}  // namespace tapewire
