#include "core/tensor/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <thread>

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

constexpr size_t kUnit = CachingAllocator::kAlignment;
// From here on a block is a mapping of its own. Under AddressSanitizer all come from its allocator.
constexpr size_t kMapBytes = TW_KEEP_BLOCKS ? size_t{256} << 10 : ~size_t{0};

void* system_allocate(size_t bytes) noexcept {
  if (bytes < kMapBytes) return std::aligned_alloc(kUnit, bytes);
  void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block == MAP_FAILED ? nullptr : block;
}

void system_free(void* block, size_t bytes) noexcept {
  if (bytes < kMapBytes) {
    std::free(block);
  } else if (munmap(block, bytes) != 0) {
    // The system has no room for one more mapping, which a hole would make. Its pages can go all the same.
    madvise(block, bytes, MADV_DONTNEED);
  }
}

}  // namespace

// A header alone, then a header beside 64, 128, 192, 256 bytes, then beside four steps a doubling: at most a quarter of
// a block is waste.
CachingAllocator::SizeClass CachingAllocator::size_class(size_t bytes) {
  if (bytes <= kHeader) return {0, kHeader};
  const size_t units = (bytes - kHeader + kUnit - 1) / kUnit;
  if (units <= 4) return {units, units * kUnit + kHeader};
  const size_t shift = static_cast<size_t>(std::bit_width(units - 1)) - 3;
  const size_t steps = ((units - 1) >> shift) + 1;  // 5..8
  return {4 * (shift + 1) + steps - 4, (steps << shift) * kUnit + kHeader};
}

// The inverse of size_class.
size_t CachingAllocator::class_bytes(size_t index) {
  if (index == 0) return kHeader;
  const size_t i = index - 1;
  const size_t units = i < 4 ? i + 1 : (5 + i % 4) << (i / 4 - 1);
  return units * kUnit + kHeader;
}

CachingAllocator::~CachingAllocator() { release_cached(); }

void CachingAllocator::add_live(int64_t bytes) noexcept {
  const int64_t now = live_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

// Raises held_, by giving back kept blocks where the limit would be passed; a request that is refused has never been
// counted, so it makes no other fail.
void CachingAllocator::reserve(int64_t bytes) {
  // Blocks on their way between two lists are in neither for a moment.
  constexpr int kMostInVain = 64;
  int in_vain = 0;
  int64_t held = held_.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t most = limit();
    if (bytes <= most && held <= most - bytes) {
      if (held_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed)) return;
      continue;
    }
    // A little more than needed, so that a row of requests does not search for each.
    const int64_t live = live_.load(std::memory_order_relaxed);
    const int64_t excess = held - most + bytes;
    const bool fits = live <= most - bytes;
    if (fits && give_back(std::max(excess, (held - live) / 16)) == 0) {
      ++in_vain;
      std::this_thread::yield();
    }
    if ((!fits || in_vain > kMostInVain) && !(bytes <= most && reclaim_ && reclaim_())) {
      MutexLock lock(name_mutex_);
      fail_limit("tensor_memory_limit", "out of tensor memory: ", bytes, " bytes more than the ", live,
                 " in use would pass the limit of ", most, " bytes (", limit_name_, ")");
    }
    held = held_.load(std::memory_order_relaxed);
  }
}

void* CachingAllocator::take_kept(const SizeClass& fit) {
  if (!TW_KEEP_BLOCKS || fit.index >= kClasses) return nullptr;
  Bin& bin = bins_[fit.index];
  MutexLock lock(bin.mutex);
  bin.used = clock_.load(std::memory_order_relaxed);
  if (bin.blocks.empty()) return nullptr;
  void* block = bin.blocks.back();
  bin.blocks.pop_back();
  return block;
}

void* CachingAllocator::allocate(size_t bytes) {
  if (bytes > static_cast<size_t>(std::numeric_limits<int64_t>::max() / 2)) {
    fail_limit("tensor_memory_limit", "out of tensor memory: ", bytes, " bytes asked for");
  }
  const SizeClass fit = size_class(bytes);
  void* block = take_kept(fit);
  if (block == nullptr) block = allocate_new(fit);
  add_live(static_cast<int64_t>(fit.bytes));
  return block;
}

void* CachingAllocator::allocate_new(const SizeClass& fit) {
  const auto size = static_cast<int64_t>(fit.bytes);
  constexpr size_t kLarge = size_t{1} << 20;
  if (fit.bytes >= kLarge && may_grow_ && !may_grow_(fit.bytes)) {
    MutexLock lock(name_mutex_);
    fail_limit("tensor_memory_limit", "out of memory: ", fit.bytes,
               " bytes more than the process holds would pass the limit of ", limit_.load(std::memory_order_relaxed),
               " bytes (", limit_name_, ") and what is allowed beside tensors");
  }
  clock_.fetch_add(1, std::memory_order_relaxed);
  reserve(size);
  void* block = system_allocate(fit.bytes);
  if (block == nullptr) {
    release_cached();
    block = system_allocate(fit.bytes);
  }
  if (block == nullptr) {
    held_.fetch_sub(size, std::memory_order_relaxed);
    fail_with(absl::StatusCode::kResourceExhausted, "out of memory: the system has no ", fit.bytes, " bytes left");
  }
  return block;
}

void CachingAllocator::deallocate(void* block, size_t bytes) noexcept {
  const SizeClass fit = size_class(bytes);
  const auto size = static_cast<int64_t>(fit.bytes);
  const int64_t live = live_.fetch_sub(size, std::memory_order_relaxed) - size;
  if (TW_KEEP_BLOCKS && fit.index < kClasses) {
    const int64_t most = cache_limit_.load(std::memory_order_relaxed);
    int64_t held = held_.load(std::memory_order_relaxed);
    if (const int64_t excess = held - live - most; excess > 0 && size <= most) {
      give_back(excess + most / 8);
      held = held_.load(std::memory_order_relaxed);
    }
    if (held - live <= most && held <= limit()) {
      Bin& bin = bins_[fit.index];
      MutexLock lock(bin.mutex);
      bin.blocks.push_back(block);
      return;
    }
  }
  held_.fetch_sub(size, std::memory_order_relaxed);
  system_free(block, fit.bytes);
}

int64_t CachingAllocator::give_back(int64_t bytes) noexcept {
  struct Candidate {
    uint64_t used;
    size_t index;
  };
  std::array<Candidate, kClasses> candidates;
  size_t count = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    MutexLock lock(bins_[i].mutex);
    if (!bins_[i].blocks.empty()) candidates[count++] = {bins_[i].used, i};
  }
  std::sort(
      candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
      [](const Candidate& a, const Candidate& b) { return a.used != b.used ? a.used < b.used : a.index > b.index; });
  int64_t given = 0;
  for (size_t i = 0; i < count && given < bytes; ++i) {
    Bin& bin = bins_[candidates[i].index];
    const size_t size = class_bytes(candidates[i].index);
    while (given < bytes) {
      void* block = nullptr;
      {
        MutexLock lock(bin.mutex);
        if (bin.blocks.empty()) break;
        block = bin.blocks.back();
        bin.blocks.pop_back();
      }
      system_free(block, size);
      held_.fetch_sub(static_cast<int64_t>(size), std::memory_order_relaxed);
      given += static_cast<int64_t>(size);
    }
  }
  return given;
}

void CachingAllocator::count_adopted(size_t bytes) {
  if (bytes > static_cast<size_t>(std::numeric_limits<int64_t>::max() / 2)) {
    fail_limit("tensor_memory_limit", "out of tensor memory: ", bytes, " bytes asked for");
  }
  reserve(static_cast<int64_t>(bytes));
  add_live(static_cast<int64_t>(bytes));
}

void CachingAllocator::count_unchecked(size_t bytes) noexcept {
  const auto size = static_cast<int64_t>(bytes);
  const int64_t held = held_.fetch_add(size, std::memory_order_relaxed) + size;
  add_live(size);
  if (held > limit()) give_back(held - limit());
}

void CachingAllocator::uncount_adopted(size_t bytes) noexcept {
  live_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  held_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
}

void CachingAllocator::set_limit(int64_t bytes, std::string name) {
  limit_.store(bytes, std::memory_order_relaxed);
  {
    MutexLock lock(name_mutex_);
    limit_name_ = std::move(name);
  }
  set_cache_limit(bytes / 2);
  const int64_t excess = held_.load(std::memory_order_relaxed) - bytes;
  if (excess > 0) give_back(excess);
}

void CachingAllocator::set_cache_limit(int64_t bytes) {
  cache_limit_.store(bytes, std::memory_order_relaxed);
  const int64_t excess = stats().cached - bytes;
  if (excess > 0) give_back(excess);
}

CachingAllocator::Stats CachingAllocator::stats() const {
  const int64_t live = live_.load(std::memory_order_relaxed);
  const int64_t held = held_.load(std::memory_order_relaxed);
  return {live, std::max<int64_t>(held - live, 0), peak_.load(std::memory_order_relaxed)};
}

void CachingAllocator::reset_peak() { peak_.store(live_.load(std::memory_order_relaxed), std::memory_order_relaxed); }

void CachingAllocator::release_cached() noexcept { give_back(std::numeric_limits<int64_t>::max()); }

CachingAllocator& tensor_allocator() {
  static auto* allocator = new CachingAllocator;
  return *allocator;
}

}  // namespace tapewire
