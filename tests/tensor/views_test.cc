#include "core/tensor/views.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace tapewire::views {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

Geometry row_major(Shape sizes) {
  Shape strides = contiguous_strides(sizes);
  return {std::move(sizes), std::move(strides), 0};
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(InferSizeTest, FillsInALoneMinusOne) {
  EXPECT_THAT(infer_size("view", Shape{2, -1}, 6), ElementsAre(2, 3));
  EXPECT_THAT(infer_size("view", Shape{-1}, 0), ElementsAre(0));
  const Shape scalar;
  EXPECT_THAT(infer_size("view", scalar, 1), ElementsAre());
}

// The messages are torch's for torch.ones(6).view(...).
TEST(InferSizeTest, RefusesWhatDoesNotHold) {
  EXPECT_EQ(error_of([] { infer_size("view", Shape{2, 4}, 6); }),
            "view: shape '[2, 4]' is invalid for input of size 6");
  EXPECT_EQ(error_of([] { infer_size("view", Shape{-1, 4}, 6); }),
            "view: shape '[-1, 4]' is invalid for input of size 6");
  EXPECT_EQ(error_of([] { infer_size("view", Shape{-1, -1}, 6); }), "view: only one dimension can be inferred");
  EXPECT_EQ(error_of([] { infer_size("view", Shape{-2, 3}, 6); }), "view: invalid shape dimension -2");
  EXPECT_THAT(error_of([] { infer_size("view", Shape{-1, 0}, 0); }), HasSubstr("is ambiguous"));
  EXPECT_THAT(error_of([] { infer_size("view", Shape{kHuge, kHuge}, 6); }),
              HasSubstr("is invalid for input of size 6"));
  EXPECT_THAT(error_of([] { infer_size("view", Shape{kHuge, kHuge, -1}, 6); }), HasSubstr("is invalid"));
}

TEST(ViewTest, SplitsAndMergesDimensionsThatLieBackToBack) {
  const Geometry g = view(row_major({2, 3, 4}), Shape{6, 2, 2});
  EXPECT_THAT(g.sizes, ElementsAre(6, 2, 2));
  EXPECT_THAT(g.strides, ElementsAre(4, 2, 1));
  // x[:, :2].view over a matrix [3, 4]: rows are apart, so they do not merge.
  const Geometry part{{3, 2}, {4, 1}, 1};
  EXPECT_FALSE(view_strides(part, Shape{6}));
  EXPECT_THAT(view(part, Shape{3, 1, 2}).strides, ElementsAre(4, 2, 1));
  EXPECT_EQ(view(part, Shape{3, 1, 2}).offset, 1);
  EXPECT_THAT(error_of([&] { view(part, Shape{6}); }),
              HasSubstr("view size is not compatible with input tensor's size"));
  EXPECT_THAT(view({{}, {}, 5}, Shape{1, 1}).strides, ElementsAre(1, 1));
}

TEST(ViewTest, OfNothingMayHaveAnySizesWithoutElements) {
  EXPECT_THAT(view(row_major({0, 3}), Shape{5, 0}).sizes, ElementsAre(5, 0));
  EXPECT_THAT(error_of([] { view(row_major({0, 3}), Shape{5}); }), HasSubstr("is invalid for input of size 0"));
  EXPECT_THAT(error_of([] { view(row_major({0, 3}), Shape{0, kHuge, 2}); }), HasSubstr("is invalid for input of size"));
}

TEST(PermuteTest, ReordersAndChecks) {
  const Geometry g = permute(row_major({2, 3, 4}), Shape{2, 0, -2});
  EXPECT_THAT(g.sizes, ElementsAre(4, 2, 3));
  EXPECT_THAT(g.strides, ElementsAre(1, 12, 4));
  EXPECT_THAT(error_of([] { permute(row_major({2, 3}), Shape{0, 0}); }), HasSubstr("duplicate dims are not allowed"));
  EXPECT_THAT(error_of([] { permute(row_major({2, 3}), Shape{0}); }), HasSubstr("input.dim() = 2"));
  EXPECT_THAT(error_of([] { permute(row_major({2, 3}), Shape{0, 2}); }), HasSubstr("Dimension out of range"));
}

TEST(TransposeTest, SwapsTwo) {
  EXPECT_THAT(transpose(row_major({2, 3}), 0, -1).strides, ElementsAre(1, 3));
  EXPECT_THAT(transpose(row_major({}), 0, -1).sizes, ElementsAre());
  EXPECT_THAT(error_of([] { transpose(row_major({2}), 0, 1); }), HasSubstr("Dimension out of range"));
}

TEST(ExpandTest, RepeatsWithStrideZero) {
  const Geometry g = expand("expand", row_major({3, 1}), Shape{2, -1, 4});
  EXPECT_THAT(g.sizes, ElementsAre(2, 3, 4));
  EXPECT_THAT(g.strides, ElementsAre(0, 1, 0));
  EXPECT_THAT(expand("expand", row_major({1}), Shape{0}).sizes, ElementsAre(0));
}

TEST(ExpandTest, RefusesWhatCannotRepeat) {
  EXPECT_THAT(
      error_of([] { expand("expand", row_major({3, 2}), Shape{3, 4}); }),
      HasSubstr("The expanded size of the tensor (4) must match the existing size (2) at non-singleton dimension 1"));
  EXPECT_THAT(error_of([] { expand("expand", row_major({3}), Shape{-1, 3}); }),
              HasSubstr("isn't allowed in a leading, non-existing dimension 0"));
  EXPECT_THAT(error_of([] { expand("expand", row_major({3, 2}), Shape{2}); }),
              HasSubstr("the number of sizes provided (1)"));
  EXPECT_THAT(error_of([] { expand("expand", row_major({1}), Shape{-5}); }), HasSubstr("negative size -5"));
}

TEST(SqueezeTest, DropsAndAddsOneLongDimensions) {
  EXPECT_THAT(unsqueeze(row_major({2, 3}), -1).strides, ElementsAre(3, 1, 1));
  EXPECT_THAT(unsqueeze(row_major({2, 3}), 0).strides, ElementsAre(6, 3, 1));
  EXPECT_THAT(squeeze(row_major({1, 3, 1}), std::nullopt).sizes, ElementsAre(3));
  EXPECT_THAT(squeeze(row_major({1, 3, 1}), 0).sizes, ElementsAre(3, 1));
  EXPECT_THAT(squeeze(row_major({1, 3, 1}), 1).sizes, ElementsAre(1, 3, 1));
  EXPECT_THAT(error_of([] { unsqueeze(row_major({2}), 2); }),
              HasSubstr("expected to be in range of [-2, 1], but got 2"));
}

TEST(SelectTest, TakesOneIndexOut) {
  const Geometry g = select(row_major({2, 3}), 1, -1);
  EXPECT_THAT(g.sizes, ElementsAre(2));
  EXPECT_THAT(g.strides, ElementsAre(3));
  EXPECT_EQ(g.offset, 2);
  EXPECT_THAT(error_of([] { select(row_major({2, 3}), 0, 2); }),
              HasSubstr("index 2 out of range for tensor of size [2, 3]"));
  EXPECT_THAT(error_of([] { select(row_major({}), 0, 0); }), HasSubstr("0-dim tensor"));
}

TEST(SliceTest, ClampsAsPythonDoes) {
  const auto sliced = [](int64_t start, int64_t end, int64_t step) {
    const Geometry g = slice(row_major({10}), 0, start, end, step);
    return std::vector<int64_t>{g.sizes[0], g.strides[0], g.offset};
  };
  EXPECT_THAT(sliced(2, 8, 1), ElementsAre(6, 1, 2));
  EXPECT_THAT(sliced(-3, kHuge, 1), ElementsAre(3, 1, 7));
  EXPECT_THAT(sliced(0, 10, 3), ElementsAre(4, 3, 0));
  EXPECT_THAT(sliced(8, 2, 1), ElementsAre(0, 1, 8));
  EXPECT_THAT(sliced(-100, -200, 1), ElementsAre(0, 1, 0));
  EXPECT_THAT(sliced(std::numeric_limits<int64_t>::min(), kHuge, kHuge), ElementsAre(1, 10, 0));
  EXPECT_THAT(error_of([] { slice(row_major({10}), 0, 0, 5, 0); }), HasSubstr("step must be greater than zero, got 0"));
}

TEST(SqueezeTest, DropsSeveralDimensionsOrNone) {
  EXPECT_THAT(squeeze(row_major({1, 3, 1, 1}), Shape{0, -1}).sizes, ElementsAre(3, 1));
  EXPECT_THAT(squeeze(row_major({1, 3}), Shape{}).sizes, ElementsAre(1, 3));
  EXPECT_THAT(error_of([] { squeeze(row_major({1, 3}), Shape{0, -2}); }), HasSubstr("appears multiple times"));
}

TEST(NarrowTest, TakesWhatExists) {
  const Geometry g = narrow("narrow", row_major({4, 3}), 0, -3, 2);
  EXPECT_THAT(g.sizes, ElementsAre(2, 3));
  EXPECT_EQ(g.offset, 3);
  EXPECT_THAT(narrow("narrow", row_major({4}), 0, 4, 0).sizes, ElementsAre(0));
  EXPECT_THAT(error_of([] { narrow("narrow", row_major({4}), 0, 2, 3); }),
              HasSubstr("start (2) + length (3) exceeds dimension size (4)."));
  EXPECT_THAT(error_of([] { narrow("narrow", row_major({4}), 0, 2, kHuge); }), HasSubstr("exceeds dimension size"));
  EXPECT_THAT(error_of([] { narrow("narrow", row_major({4}), 0, 0, -1); }), HasSubstr("must be non-negative"));
  EXPECT_THAT(error_of([] { narrow("narrow", row_major({4}), 0, -5, 1); }), HasSubstr("start out of range"));
}

TEST(DiagonalTest, AddsTheStridesOfItsTwoDimensions) {
  const Geometry g = diagonal(row_major({3, 2, 4}), 1, 0, -1);
  EXPECT_THAT(g.sizes, ElementsAre(2, 3));
  EXPECT_THAT(g.strides, ElementsAre(4, 9));
  EXPECT_EQ(g.offset, 1);
  EXPECT_EQ(diagonal(row_major({3, 4}), -2, 0, 1).offset, 8);
  for (const int64_t offset : {kHuge, std::numeric_limits<int64_t>::min()}) {
    EXPECT_THAT(diagonal(row_major({3, 4}), offset, 0, 1).sizes, ElementsAre(0));
  }
  EXPECT_THAT(error_of([] { diagonal(row_major({3, 4}), 0, 1, -1); }),
              HasSubstr("diagonal dimensions cannot be identical 1, -1"));
}

TEST(UnfoldTest, TakesWindowsThatMayOverlap) {
  const Geometry g = unfold(row_major({7, 2}), 0, 3, 2);
  EXPECT_THAT(g.sizes, ElementsAre(3, 2, 3));
  EXPECT_THAT(g.strides, ElementsAre(4, 1, 2));
  EXPECT_THAT(unfold(row_major({}), 0, 1, 1).sizes, ElementsAre(1));
  EXPECT_THAT(unfold(row_major({4}), 0, 4, kHuge).sizes, ElementsAre(1, 4));
  EXPECT_THAT(error_of([] { unfold(row_major({4}), 0, 5, 1); }),
              HasSubstr("maximum size for tensor at dimension 0 is 4 but size is 5"));
  EXPECT_THAT(error_of([] { unfold(row_major({4}), 0, 1, 0); }), HasSubstr("step is 0 but must be > 0"));
  EXPECT_THAT(error_of([] { unfold(row_major({4}), 0, -1, 1); }), HasSubstr("size is -1 but must be >= 0"));
}

}  // namespace
}  // namespace tapewire::views
