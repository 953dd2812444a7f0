#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"

namespace tapewire {

/// Memory for tensors: 64-byte aligned blocks, kept for reuse by size class (four classes a power of two), counted.
/// Thread-safe. Under AddressSanitizer nothing is kept, so that use after free is seen.
class CachingAllocator {
 public:
  static constexpr size_t kAlignment = 64;

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

  /// Counts memory that tensors use but others allocated (adopted request bytes); throws like allocate.
  void count_adopted(size_t bytes);
  void uncount_adopted(size_t bytes) noexcept;

  /// The most bytes that may be live; `name` (of the setting) is quoted in the error.
  void set_limit(int64_t bytes, std::string name);
  int64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  /// The most bytes kept for reuse; above it blocks go back to the system.
  void set_cache_limit(int64_t bytes) { cache_limit_.store(bytes, std::memory_order_relaxed); }

  Stats stats() const;
  void reset_peak();
  /// Gives all kept blocks back to the system.
  void release_cached();

 private:
  static constexpr size_t kClasses = 160;
  struct Bin {
    Mutex mutex;
    std::vector<void*> blocks TW_GUARDED_BY(mutex);
  };

  void take(int64_t bytes);

  std::array<Bin, kClasses> bins_;
  std::atomic<int64_t> live_{0};
  std::atomic<int64_t> cached_{0};
  std::atomic<int64_t> peak_{0};
  std::atomic<int64_t> limit_{std::numeric_limits<int64_t>::max()};
  std::atomic<int64_t> cache_limit_{int64_t{1} << 30};
  mutable Mutex name_mutex_;
  std::string limit_name_ TW_GUARDED_BY(name_mutex_) = "tensor memory limit";
};

/// Counts memory that is on its way to become tensors' (chunks of one that is still coming) as if it were theirs, and
/// gives the count back when destroyed. One thread at a time.
class AdoptedCount {
 public:
  explicit AdoptedCount(CachingAllocator& allocator) : allocator_(&allocator) {}
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
  void clear() noexcept { allocator_->uncount_adopted(std::exchange(bytes_, 0)); }

 private:
  CachingAllocator* allocator_;
  size_t bytes_ = 0;
};

/// The allocator that tensors of this process use. Never destroyed, so tensors may outlive main.
CachingAllocator& tensor_allocator();

}  // namespace tapewire
