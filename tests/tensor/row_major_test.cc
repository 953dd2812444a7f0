#include "core/tensor/row_major.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tapewire {
namespace {

using testing::ElementsAre;

TEST(RowMajor, GivesARowMajorTensorItself) {
  const Tensor x = Tensor::of<float>({1, 2, 3, 4}, {2, 2});
  EXPECT_TRUE(row_major(x).is_same(x));
}

TEST(RowMajor, CopiesAnyStrides) {
  const Tensor base = Tensor::of<int32_t>({0, 1, 2, 3, 4, 5, 6, 7}, {2, 2, 2});
  const auto values = [&base](Geometry geometry) {
    const Tensor copy = row_major(base.alias(std::move(geometry)));
    EXPECT_TRUE(copy.is_contiguous());
    const auto* data = copy.data<int32_t>();
    return std::vector<int32_t>(data, data + copy.numel());
  };
  EXPECT_THAT(values({.sizes = {2, 4}, .strides = {1, 2}, .offset = 0}), ElementsAre(0, 2, 4, 6, 1, 3, 5, 7));
  EXPECT_THAT(values({.sizes = {2, 2}, .strides = {4, 1}, .offset = 2}), ElementsAre(2, 3, 6, 7));
  EXPECT_THAT(values({.sizes = {3}, .strides = {0}, .offset = 5}), ElementsAre(5, 5, 5));
  EXPECT_THAT(values({.sizes = {3, 0}, .strides = {7, 3}, .offset = 0}), ElementsAre());
}

}  // namespace
}  // namespace tapewire
