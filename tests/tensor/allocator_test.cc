#include "core/tensor/allocator.h"

#include <cstring>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace tapewire {
namespace {

using testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeepsBlocks = false;
#else
constexpr bool kKeepsBlocks = true;
#endif

int64_t handed_out(size_t bytes) {
  CachingAllocator allocator;
  void* block = allocator.allocate(bytes);
  const int64_t live = allocator.stats().live;
  allocator.deallocate(block, bytes);
  EXPECT_EQ(allocator.stats().live, 0);
  return live;
}

TEST(CachingAllocatorTest, ClassesWasteAtMostAQuarter) {
  EXPECT_EQ(handed_out(0), 64);
  EXPECT_EQ(handed_out(1), 64);
  EXPECT_EQ(handed_out(64), 64);
  EXPECT_EQ(handed_out(65), 128);
  EXPECT_EQ(handed_out(256), 256);
  EXPECT_EQ(handed_out(257), 320);
  EXPECT_EQ(handed_out(513), 640);
  EXPECT_EQ(handed_out(1024), 1024);
  EXPECT_EQ(handed_out(1025), 1280);
  for (size_t bytes = 1; bytes < (size_t{1} << 22); bytes = bytes * 9 / 8 + 1) {
    const int64_t live = handed_out(bytes);
    EXPECT_GE(live, static_cast<int64_t>(bytes));
    if (bytes >= 256) {
      EXPECT_LE(live, static_cast<int64_t>(bytes + bytes / 4 + 64));
    }
  }
}

TEST(CachingAllocatorTest, BlocksAreAlignedAndWritable) {
  CachingAllocator allocator;
  for (const size_t bytes : {1u, 63u, 64u, 300u, 5000u, 100000u}) {
    void* block = allocator.allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % CachingAllocator::kAlignment, 0u);
    std::memset(block, 0xab, bytes);
    allocator.deallocate(block, bytes);
  }
}

TEST(CachingAllocatorTest, ABlockIsUsedAgainForItsClass) {
  if (!kKeepsBlocks) GTEST_SKIP() << "nothing is kept under AddressSanitizer";
  CachingAllocator allocator;
  void* block = allocator.allocate(1000);
  allocator.deallocate(block, 1000);
  EXPECT_EQ(allocator.stats().cached, 1024);
  EXPECT_EQ(allocator.allocate(900), block);
  EXPECT_EQ(allocator.stats().cached, 0);
  allocator.deallocate(block, 900);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().cached, 0);
}

TEST(CachingAllocatorTest, ReleasingEveryClassCountsItRight) {
  if (!kKeepsBlocks) GTEST_SKIP() << "nothing is kept under AddressSanitizer";
  CachingAllocator allocator;
  for (size_t bytes = 1; bytes < (size_t{1} << 24); bytes = bytes * 6 / 5 + 1) {
    allocator.deallocate(allocator.allocate(bytes), bytes);
  }
  EXPECT_GT(allocator.stats().cached, 0);
  allocator.release_cached();
  EXPECT_EQ(allocator.stats().cached, 0);
}

TEST(CachingAllocatorTest, KeepsNoMoreThanTheCacheLimit) {
  CachingAllocator allocator;
  allocator.set_cache_limit(2000);
  void* a = allocator.allocate(1024);
  void* b = allocator.allocate(1024);
  allocator.deallocate(a, 1024);
  allocator.deallocate(b, 1024);
  EXPECT_LE(allocator.stats().cached, 2000);
}

TEST(CachingAllocatorTest, PeakIsTheMostThatEverWasLive) {
  CachingAllocator allocator;
  void* a = allocator.allocate(1024);
  void* b = allocator.allocate(2048);
  allocator.deallocate(a, 1024);
  EXPECT_EQ(allocator.stats().live, 2048);
  EXPECT_EQ(allocator.stats().peak, 3072);
  allocator.reset_peak();
  EXPECT_EQ(allocator.stats().peak, 2048);
  allocator.deallocate(b, 2048);
  EXPECT_EQ(allocator.stats().peak, 2048);
}

TEST(CachingAllocatorTest, PastTheLimitNamesTheLimit) {
  CachingAllocator allocator;
  allocator.set_limit(4096, "--memory_limit");
  void* a = allocator.allocate(4000);
  try {
    allocator.allocate(1);
    FAIL() << "the limit did not hold";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(error.message(), HasSubstr("limit of 4096 bytes (--memory_limit)"));
  }
  EXPECT_EQ(allocator.stats().live, 4096);
  allocator.deallocate(a, 4000);
  allocator.deallocate(allocator.allocate(4000), 4000);
}

TEST(CachingAllocatorTest, AnAbsurdSizeIsRefused) {
  CachingAllocator allocator;
  for (const size_t bytes : {~size_t{0}, ~size_t{0} / 2, (~size_t{0} / 2) - 1000, size_t{1} << 62}) {
    try {
      allocator.allocate(bytes);
      FAIL() << bytes;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
    }
  }
  EXPECT_EQ(allocator.stats().live, 0);
}

TEST(CachingAllocatorTest, AdoptedBytesCountAgainstTheLimit) {
  CachingAllocator allocator;
  allocator.set_limit(1000, "limit");
  allocator.count_adopted(900);
  EXPECT_EQ(allocator.stats().live, 900);
  EXPECT_THROW(allocator.count_adopted(200), Error);
  EXPECT_EQ(allocator.stats().live, 900);
  allocator.uncount_adopted(900);
  EXPECT_EQ(allocator.stats().live, 0);
}

TEST(CachingAllocatorTest, ThreadsMayAllocateAtOnce) {
  CachingAllocator allocator;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&allocator, t] {
      for (int i = 0; i < 2000; ++i) {
        const auto bytes = static_cast<size_t>(64 * (1 + (i * 7 + t) % 20));
        auto* block = static_cast<unsigned char*>(allocator.allocate(bytes));
        block[0] = static_cast<unsigned char>(t);
        block[bytes - 1] = static_cast<unsigned char>(t);
        EXPECT_EQ(block[0], t);
        allocator.deallocate(block, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allocator.stats().live, 0);
}

}  // namespace
}  // namespace tapewire
