#include "core/tensor/storage.h"

#include <array>
#include <cstring>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/tensor/allocator.h"
#include "core/tensor/tensor.h"

namespace tapewire {
namespace {

TEST(BufferTest, CountsItsBytesWhileItLives) {
  const int64_t before = tensor_allocator().stats().live;
  {
    const Ref<Buffer> buffer = Buffer::allocate(1000);
    EXPECT_EQ(buffer->size(), 1000u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % 64, 0u);
    EXPECT_GE(tensor_allocator().stats().live, before + 1000);
  }
  EXPECT_EQ(tensor_allocator().stats().live, before);
}

TEST(BufferTest, AdoptedBytesAreCountedAndTheirOwnerLetGo) {
  const int64_t before = tensor_allocator().stats().live;
  auto owner = std::make_shared<std::array<std::byte, 4096>>();
  const std::weak_ptr<void> watch = owner;
  {
    std::byte* data = owner->data();
    const Ref<Buffer> buffer = Buffer::adopt(data, 4096, std::move(owner));
    EXPECT_EQ(buffer->data(), data);
    EXPECT_GE(tensor_allocator().stats().live, before + 4096);
    EXPECT_FALSE(watch.expired());
  }
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(tensor_allocator().stats().live, before);
}

TEST(StorageTest, WritingToASharedBufferLeavesTheOtherOwnersBytes) {
  Tensor x = Tensor::of<float>({1, 2, 3});
  const Ref<Buffer> snapshot = x.storage().share_buffer();
  const std::byte* shared = snapshot->data();
  EXPECT_EQ(x.raw_data(), shared);
  x.mutable_data<float>()[0] = 9;
  EXPECT_NE(x.raw_data(), shared);
  const Tensor old = Tensor::over(snapshot, Shape{3}, DType::kFloat32);
  EXPECT_EQ(old.to_vector<float>(), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{9, 2, 3}));
}

TEST(StorageTest, WritingToABufferOfOnesOwnDoesNotCopy) {
  Tensor x = Tensor::of<float>({1, 2, 3});
  const void* before = x.raw_data();
  {
    const Ref<Buffer> gone = x.storage().share_buffer();
  }
  x.mutable_data<float>()[0] = 9;
  EXPECT_EQ(x.raw_data(), before);
}

TEST(StorageTest, AViewSeesTheDetachedBytes) {
  const Tensor x = Tensor::of<float>({1, 2, 3});
  const Tensor view = x.alias({{2}, {1}, 1});
  const Ref<Buffer> snapshot = x.storage().share_buffer();
  view.mutable_data<float>()[0] = 7;
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 7, 3}));
}

TEST(StorageTest, ReplacingTakesABufferOfTheSameSizeOnly) {
  Tensor x = Tensor::of<float>({1, 2});
  const Tensor y = Tensor::of<float>({5, 6});
  x.storage().replace_buffer(y.storage().share_buffer());
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{5, 6}));
  EXPECT_THROW(x.storage().replace_buffer(Buffer::allocate(4)), Error);
}

TEST(StorageTest, VersionsAreSharedByAliases) {
  const Tensor x = Tensor::zeros({2});
  const Tensor alias = x.alias();
  EXPECT_EQ(alias.version(), 0u);
  x.storage().bump_version();
  EXPECT_EQ(alias.version(), 1u);
}

}  // namespace
}  // namespace tapewire
