#include "core/tensor/allocator.h"

#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

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

constexpr int64_t kHeader = CachingAllocator::kHeader;

TEST(CachingAllocatorTest, ClassesWasteAtMostAQuarter) {
  EXPECT_EQ(handed_out(0), kHeader);
  EXPECT_EQ(handed_out(1), kHeader);
  EXPECT_EQ(handed_out(kHeader), kHeader);
  for (const int64_t wanted : {64, 128, 256, 320, 640, 1024, 1280}) {
    EXPECT_EQ(handed_out(static_cast<size_t>(wanted + kHeader)), wanted + kHeader);
    EXPECT_EQ(handed_out(static_cast<size_t>(wanted + kHeader - 63)), wanted + kHeader);
  }
  for (size_t bytes = 1; bytes < (size_t{1} << 22); bytes = bytes * 9 / 8 + 1) {
    const int64_t live = handed_out(bytes);
    EXPECT_GE(live, static_cast<int64_t>(bytes));
    if (bytes >= 256) {
      EXPECT_LE(live, static_cast<int64_t>(bytes + bytes / 4 + 64));
    }
  }
}

TEST(CachingAllocatorTest, APowerOfTwoBehindAHeaderWastesNothing) {
  for (size_t bytes = 64; bytes <= (size_t{1} << 30); bytes *= 2) {
    EXPECT_EQ(handed_out(bytes + CachingAllocator::kHeader), static_cast<int64_t>(bytes) + kHeader);
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
  void* block = allocator.allocate(1024 + kHeader);
  allocator.deallocate(block, 1024 + kHeader);
  EXPECT_EQ(allocator.stats().cached, 1024 + kHeader);
  EXPECT_EQ(allocator.allocate(1000 + kHeader), block);
  EXPECT_EQ(allocator.stats().cached, 0);
  allocator.deallocate(block, 1000 + kHeader);
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

TEST(CachingAllocatorTest, ABlockThatTheCacheHasNoRoomForTakesThePlaceOfOnesLongUnused) {
  if (!kKeepsBlocks) GTEST_SKIP() << "nothing is kept under AddressSanitizer";
  CachingAllocator allocator;
  allocator.set_cache_limit(64 << 10);
  allocator.deallocate(allocator.allocate(40 << 10), 40 << 10);
  allocator.deallocate(allocator.allocate(30 << 10), 30 << 10);
  EXPECT_EQ(allocator.stats().cached, handed_out(30 << 10));
}

TEST(CachingAllocatorTest, KeepsAtMostHalfOfTheLimit) {
  CachingAllocator allocator;
  allocator.set_limit(1 << 20, "limit");
  std::vector<void*> blocks;
  for (int i = 0; i < 8; ++i) blocks.push_back(allocator.allocate(100'000));
  for (void* block : blocks) allocator.deallocate(block, 100'000);
  EXPECT_LE(allocator.stats().cached, 1 << 19);
  if (kKeepsBlocks) {
    EXPECT_GT(allocator.stats().cached, 0);
  }
}

TEST(CachingAllocatorTest, KeptBlocksOfOtherSizesMakeRoom) {
  CachingAllocator allocator;
  allocator.set_limit(1 << 20, "limit");
  allocator.set_cache_limit(1 << 20);
  // Batches of all sizes, each of which nearly fills the limit: what the last one left is given back.
  for (size_t bytes = 1000; bytes < (size_t{1} << 20) - 300'000; bytes = bytes * 5 / 4) {
    std::vector<void*> blocks;
    for (size_t sum = 0; sum + bytes * 5 / 4 + 64 < (1 << 20); sum += bytes * 5 / 4 + 64) {
      blocks.push_back(allocator.allocate(bytes));
    }
    const CachingAllocator::Stats stats = allocator.stats();
    EXPECT_LE(stats.live + stats.cached, 1 << 20);
    for (void* block : blocks) allocator.deallocate(block, bytes);
  }
  EXPECT_EQ(allocator.stats().live, 0);
}

TEST(CachingAllocatorTest, WhatIsLongestUnusedIsGivenBackFirst) {
  if (!kKeepsBlocks) GTEST_SKIP() << "nothing is kept under AddressSanitizer";
  CachingAllocator allocator;
  allocator.deallocate(allocator.allocate(100'000), 100'000);
  void* recent = allocator.allocate(50'000);
  allocator.deallocate(recent, 50'000);
  const CachingAllocator::Stats before = allocator.stats();
  allocator.set_limit(before.cached, "limit");
  allocator.set_cache_limit(before.cached);
  void* other = allocator.allocate(80'000);
  EXPECT_EQ(allocator.stats().cached, handed_out(50'000));
  allocator.deallocate(other, 80'000);
}

TEST(CachingAllocatorTest, ALowerLimitIsMetAtOnce) {
  CachingAllocator allocator;
  void* live = allocator.allocate(60'000);
  allocator.deallocate(allocator.allocate(40'000), 40'000);
  allocator.set_limit(90'000, "limit");
  EXPECT_LE(allocator.stats().live + allocator.stats().cached, 90'000);
  allocator.deallocate(live, 60'000);
}

TEST(CachingAllocatorTest, LargeBlocksGoBackToTheSystem) {
  if (!kKeepsBlocks) GTEST_SKIP() << "AddressSanitizer keeps what is freed";
  const auto resident = [] {
    std::ifstream file("/proc/self/statm");
    int64_t all = 0;
    int64_t pages = 0;
    file >> all >> pages;
    return pages * sysconf(_SC_PAGESIZE);
  };
  CachingAllocator allocator;
  const int64_t before = resident();
  constexpr size_t kEach = 1 << 20;
  std::vector<void*> blocks;
  for (int i = 0; i < 64; ++i) {
    blocks.push_back(allocator.allocate(kEach));
    std::memset(blocks.back(), 1, kEach);
  }
  EXPECT_GT(resident(), before + (60 << 20));
  for (size_t i = 1; i < blocks.size(); i += 2) allocator.deallocate(blocks[i], kEach);
  for (size_t i = 0; i < blocks.size(); i += 2) allocator.deallocate(blocks[i], kEach);
  allocator.release_cached();
  EXPECT_LT(resident(), before + (4 << 20));
}

TEST(CachingAllocatorTest, AsksForWhatIsWorthLessBeforeItRefuses) {
  CachingAllocator allocator;
  allocator.set_limit(100'000, "limit");
  AdoptedCount spare(allocator);
  spare.add(80'000);
  int asked = 0;
  allocator.set_reclaim([&] {
    ++asked;
    const bool any = spare.bytes() > 0;
    spare.clear();
    return any;
  });
  allocator.deallocate(allocator.allocate(50'000), 50'000);
  EXPECT_EQ(asked, 1);
  void* block = allocator.allocate(50'000);
  EXPECT_THROW(allocator.allocate(60'000), Error) << "nothing is left to let go";
  EXPECT_EQ(asked, 2);
  // What never fits takes nothing from anybody.
  EXPECT_THROW(allocator.allocate(200'000), Error);
  EXPECT_EQ(asked, 2);
  allocator.deallocate(block, 50'000);
}

TEST(CachingAllocatorTest, WhatCannotBeRefusedCountsAndStopsTheRest) {
  CachingAllocator allocator;
  allocator.set_limit(100'000, "limit");
  allocator.deallocate(allocator.allocate(40'000), 40'000);
  {
    AdoptedCount answer(allocator);
    answer.add_unchecked(150'000);
    EXPECT_EQ(allocator.stats().cached, 0);
    EXPECT_EQ(allocator.stats().live, 150'000);
    EXPECT_THROW(allocator.allocate(1), Error);
    answer.remove(100'000);
    allocator.deallocate(allocator.allocate(1000), 1000);
  }
  EXPECT_EQ(allocator.stats().live, 0);
}

TEST(CachingAllocatorTest, PeakIsTheMostThatEverWasLive) {
  CachingAllocator allocator;
  void* a = allocator.allocate(1024 + kHeader);
  void* b = allocator.allocate(2048 + kHeader);
  allocator.deallocate(a, 1024 + kHeader);
  EXPECT_EQ(allocator.stats().live, 2048 + kHeader);
  EXPECT_EQ(allocator.stats().peak, 3072 + 2 * kHeader);
  allocator.reset_peak();
  EXPECT_EQ(allocator.stats().peak, 2048 + kHeader);
  allocator.deallocate(b, 2048 + kHeader);
  EXPECT_EQ(allocator.stats().peak, 2048 + kHeader);
}

TEST(CachingAllocatorTest, PastTheLimitNamesTheLimit) {
  CachingAllocator allocator;
  allocator.set_limit(4096 + kHeader, "--memory_limit");
  void* a = allocator.allocate(4096);
  try {
    allocator.allocate(1);
    FAIL() << "the limit did not hold";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(error.message(), HasSubstr("limit of 4160 bytes (--memory_limit)"));
  }
  EXPECT_EQ(allocator.stats().live, 4096 + kHeader);
  allocator.deallocate(a, 4096);
  allocator.deallocate(allocator.allocate(4000), 4000);
}

TEST(CachingAllocatorTest, ThreadsAtTheLimitAreRefusedOnlyWhenItIsFull) {
  // Each holds at most an eighth of the limit at a time, so all fit, whatever the others keep.
  CachingAllocator allocator;
  allocator.set_limit(8 << 20, "limit");
  allocator.set_cache_limit(8 << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&allocator, t] {
      for (int i = 0; i < 500; ++i) {
        const auto bytes = static_cast<size_t>(1000 + (i * 7919 + t * 104729) % 700'000);
        allocator.deallocate(allocator.allocate(bytes), bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(allocator.stats().live, 0);
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
