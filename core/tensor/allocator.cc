#include "core/tensor/allocator.h"

#include <bit>
#include <cstdlib>

#include "core/base/limit_error.h"

#if defined(__SANITIZE_ADDRESS__)
#define TW_KEEP_BLOCKS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TW_KEEP_BLOCKS false
#endif
#endif
#ifndef TW_KEEP_BLOCKS
#define TW_KEEP_BLOCKS true
#endif

namespace tapewire {
namespace {

struct SizeClass {
  size_t index;
  size_t bytes;
};

// 64, 128, 192, 256, then four steps a doubling: at most a quarter of a block is waste.
SizeClass size_class(size_t bytes) {
  constexpr size_t kUnit = CachingAllocator::kAlignment;
  const size_t units = bytes == 0 ? 1 : (bytes + kUnit - 1) / kUnit;
  if (units <= 4) return {units - 1, units * kUnit};
  const size_t shift = static_cast<size_t>(std::bit_width(units - 1)) - 3;
  const size_t steps = ((units - 1) >> shift) + 1;  // 5..8
  return {4 * (shift + 1) + steps - 5, (steps << shift) * kUnit};
}

}  // namespace

CachingAllocator::~CachingAllocator() { release_cached(); }

void CachingAllocator::take(int64_t bytes) {
  const int64_t now = live_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  const int64_t most = limit();
  if (now > most) {
    live_.fetch_sub(bytes, std::memory_order_relaxed);
    MutexLock lock(name_mutex_);
    fail_limit("tensor_memory_limit", "out of tensor memory: ", bytes, " bytes more than the ", now - bytes,
               " in use would pass the limit of ", most, " bytes (", limit_name_, ")");
  }
  int64_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

void* CachingAllocator::allocate(size_t bytes) {
  if (bytes > static_cast<size_t>(std::numeric_limits<int64_t>::max() / 2)) {
    fail_limit("tensor_memory_limit", "out of tensor memory: ", bytes, " bytes asked for");
  }
  const SizeClass fit = size_class(bytes);
  take(static_cast<int64_t>(fit.bytes));
  if (TW_KEEP_BLOCKS && fit.index < kClasses) {
    Bin& bin = bins_[fit.index];
    MutexLock lock(bin.mutex);
    if (!bin.blocks.empty()) {
      void* block = bin.blocks.back();
      bin.blocks.pop_back();
      cached_.fetch_sub(static_cast<int64_t>(fit.bytes), std::memory_order_relaxed);
      return block;
    }
  }
  void* block = std::aligned_alloc(kAlignment, fit.bytes);
  if (block == nullptr) {
    release_cached();
    block = std::aligned_alloc(kAlignment, fit.bytes);
  }
  if (block == nullptr) {
    live_.fetch_sub(static_cast<int64_t>(fit.bytes), std::memory_order_relaxed);
    fail_with(absl::StatusCode::kResourceExhausted, "out of memory: the system has no ", fit.bytes, " bytes left");
  }
  return block;
}

void CachingAllocator::deallocate(void* block, size_t bytes) noexcept {
  const SizeClass fit = size_class(bytes);
  const auto size = static_cast<int64_t>(fit.bytes);
  live_.fetch_sub(size, std::memory_order_relaxed);
  if (TW_KEEP_BLOCKS && fit.index < kClasses) {
    if (cached_.fetch_add(size, std::memory_order_relaxed) + size <= cache_limit_.load(std::memory_order_relaxed)) {
      Bin& bin = bins_[fit.index];
      MutexLock lock(bin.mutex);
      bin.blocks.push_back(block);
      return;
    }
    cached_.fetch_sub(size, std::memory_order_relaxed);
  }
  std::free(block);
}

void CachingAllocator::count_adopted(size_t bytes) { take(static_cast<int64_t>(bytes)); }

void CachingAllocator::uncount_adopted(size_t bytes) noexcept {
  live_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
}

void CachingAllocator::set_limit(int64_t bytes, std::string name) {
  limit_.store(bytes, std::memory_order_relaxed);
  MutexLock lock(name_mutex_);
  limit_name_ = std::move(name);
}

CachingAllocator::Stats CachingAllocator::stats() const {
  return {live_.load(std::memory_order_relaxed), cached_.load(std::memory_order_relaxed),
          peak_.load(std::memory_order_relaxed)};
}

void CachingAllocator::reset_peak() { peak_.store(live_.load(std::memory_order_relaxed), std::memory_order_relaxed); }

void CachingAllocator::release_cached() {
  for (size_t i = 0; i < kClasses; ++i) {
    Bin& bin = bins_[i];
    MutexLock lock(bin.mutex);
    if (bin.blocks.empty()) continue;
    // The class's size from its index: the inverse of size_class.
    const size_t units = i < 4 ? i + 1 : (5 + i % 4) << (i / 4 - 1);
    cached_.fetch_sub(static_cast<int64_t>(bin.blocks.size() * units * kAlignment), std::memory_order_relaxed);
    for (void* block : bin.blocks) std::free(block);
    bin.blocks.clear();
  }
}

CachingAllocator& tensor_allocator() {
  static auto* allocator = new CachingAllocator;
  return *allocator;
}

}  // namespace tapewire
