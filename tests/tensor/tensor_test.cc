#include "core/tensor/tensor.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(TensorTest, IsUndefinedByDefault) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_EQ(to_string(none), "none");
}

TEST(TensorTest, IsRowMajorWhenMade) {
  const Tensor x = Tensor::of<int64_t>({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_THAT(x.strides(), ElementsAre(3, 1));
  EXPECT_EQ(x.dim(), 2);
  EXPECT_EQ(x.size(0), 2);
  EXPECT_EQ(x.size(-1), 3);
  EXPECT_EQ(x.numel(), 6);
  EXPECT_EQ(x.nbytes(), 48u);
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_EQ(to_string(x), "int64[2, 3]{1, 2, 3, 4, 5, 6}");
}

TEST(TensorTest, ReadsStridedElementsInRowMajorOrder) {
  const Tensor x = Tensor::of<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor transposed = x.alias({{3, 2}, {1, 3}, 0});
  EXPECT_FALSE(transposed.is_contiguous());
  EXPECT_THAT(transposed.to_vector<int>(), ElementsAre(1, 4, 2, 5, 3, 6));
  const Tensor row = x.alias({{3}, {1}, 3});
  EXPECT_THAT(row.to_vector<float>(), ElementsAre(4, 5, 6));
}

TEST(TensorTest, MakesEveryDtype) {
  for (const DType dtype :
       {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kInt32, DType::kUInt8, DType::kBool}) {
    const Tensor zeros = Tensor::zeros({3}, dtype);
    EXPECT_EQ(zeros.dtype(), dtype);
    EXPECT_THAT(zeros.to_vector<double>(), ElementsAre(0, 0, 0));
    EXPECT_THAT(Tensor::full({2}, 1, dtype).to_vector<double>(), ElementsAre(1, 1));
    DType parsed;
    EXPECT_TRUE(parse_dtype(name_of(dtype), parsed));
    EXPECT_EQ(parsed, dtype);
  }
}

TEST(TensorTest, ItemIsTheOneElement) {
  EXPECT_EQ(Tensor::scalar(2.5).item<double>(), 2.5);
  EXPECT_EQ(Tensor::scalar(2.5).dtype(), DType::kFloat32);
  EXPECT_EQ(Tensor::full({1, 1}, 7, DType::kInt32).item<int64_t>(), 7);
  EXPECT_TRUE(Tensor::scalar(true).item_scalar().is_bool());
  EXPECT_EQ(error_of([] { Tensor::zeros({2}).item<float>(); }),
            "a Tensor with 2 elements cannot be converted to Scalar");
}

TEST(TensorTest, ZeroSizesAndZeroDimsWork) {
  const Tensor none = Tensor::zeros({2, 0, 3});
  EXPECT_EQ(none.numel(), 0);
  EXPECT_TRUE(none.is_contiguous());
  EXPECT_THAT(none.to_vector<float>(), ElementsAre());
  const Tensor scalar = Tensor::zeros({});
  EXPECT_EQ(scalar.numel(), 1);
  EXPECT_EQ(scalar.dim(), 0);
  EXPECT_THAT(error_of([&] { scalar.size(0); }), HasSubstr("tensor has no dimensions"));
  EXPECT_THAT(error_of([&] { none.size(3); }), HasSubstr("Dimension out of range"));
}

TEST(TensorTest, HostileSizesAreRefused) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(error_of([] { Tensor::zeros({2, -1}); }), HasSubstr("negative dimension -1 in shape [2, -1]"));
  EXPECT_THAT(error_of([] { Tensor::empty({int64_t{1} << 32, int64_t{1} << 32}); }), HasSubstr("overflows"));
  EXPECT_THAT(error_of([] { Tensor::empty({kHuge}); }), HasSubstr("overflows"));
  // A zero does not hide the overflow: strides are built from the other sizes.
  EXPECT_THAT(error_of([] { Tensor::empty({0, kHuge, kHuge}); }), HasSubstr("overflows"));
  EXPECT_THAT(error_of([] { Tensor::empty(Shape(65, 1)); }), HasSubstr("at most 64 dimensions"));
  EXPECT_THAT(error_of([] { Tensor::empty({int64_t{1} << 59}); }), HasSubstr("memory"));
}

TEST(TensorTest, TheDtypeAskedForMustBeTheTensors) {
  EXPECT_THAT(error_of([] { Tensor::zeros({1}).data<double>(); }), HasSubstr("data<float64> of a tensor of float32"));
}

TEST(TensorTest, ValuesMustFillTheShape) {
  const std::vector<float> three{1, 2, 3};
  EXPECT_EQ(error_of([&] { Tensor::of<float>(three, Shape{2, 2}); }), "shape [2, 2] holds 4 elements, got 3");
}

TEST(TensorTest, OverNeedsExactlyItsBytes) {
  EXPECT_THAT(error_of([] { Tensor::over(Buffer::allocate(12), Shape{4}, DType::kFloat32); }), HasSubstr("12 bytes"));
}

TEST(TensorTest, ACopyIsTheSameTensorAnAliasIsNot) {
  const Tensor x = Tensor::zeros({1});
  Tensor same;
  same = x;
  EXPECT_TRUE(same.is_same(x));
  EXPECT_FALSE(x.alias().is_same(x));
  EXPECT_EQ(&x.alias().storage(), &x.storage());
}

TEST(TensorTest, PrintingCutsLongOnes) {
  const std::string text = to_string(Tensor::zeros({1000}));
  EXPECT_THAT(text, testing::EndsWith(", ...}"));
  EXPECT_LT(text.size(), 300u);
}

// torch.promote_types over these dtypes.
TEST(DTypeTest, PromotesAsPyTorch) {
  EXPECT_EQ(promote(DType::kFloat32, DType::kFloat64), DType::kFloat64);
  EXPECT_EQ(promote(DType::kInt64, DType::kFloat32), DType::kFloat32);
  EXPECT_EQ(promote(DType::kInt32, DType::kInt64), DType::kInt64);
  EXPECT_EQ(promote(DType::kUInt8, DType::kInt32), DType::kInt32);
  EXPECT_EQ(promote(DType::kBool, DType::kUInt8), DType::kUInt8);
  EXPECT_EQ(promote(DType::kBool, DType::kBool), DType::kBool);
}

TEST(DTypeTest, NumbersHaveTheirDtype) {
  EXPECT_EQ(dtype_of(true), DType::kBool);
  EXPECT_EQ(dtype_of(3), DType::kInt64);
  EXPECT_EQ(dtype_of(3.0), DType::kFloat32);
  DType parsed;
  EXPECT_FALSE(parse_dtype("float16", parsed));
  EXPECT_TRUE(parse_dtype("double", parsed));
  EXPECT_EQ(parsed, DType::kFloat64);
}

TEST(ShapeTest, BroadcastsFromTheRight) {
  EXPECT_THAT(broadcast_shapes("add", Shape{3, 1, 4}, Shape{2, 1}), ElementsAre(3, 2, 4));
  EXPECT_THAT(broadcast_shapes("add", Shape{}, Shape{2}), ElementsAre(2));
  EXPECT_THAT(broadcast_shapes("add", Shape{0, 1}, Shape{1, 5}), ElementsAre(0, 5));
  EXPECT_THAT(
      error_of([] { broadcast_shapes("add", Shape{2, 3}, Shape{2, 4}); }),
      HasSubstr("add: The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1"));
  EXPECT_THAT(error_of([] { broadcast_shapes("add", Shape{0}, Shape{2}); }), HasSubstr("must match"));
}

TEST(ShapeTest, WrapsDimensions) {
  EXPECT_EQ(wrap_dim("sum", -1, 3), 2);
  EXPECT_EQ(wrap_dim("sum", 0, 0), 0);
  EXPECT_EQ(wrap_dim("sum", -1, 0), 0);
  EXPECT_EQ(error_of([] { wrap_dim("sum", 3, 3); }),
            "sum: Dimension out of range (expected to be in range of [-3, 2], but got 3)");
  EXPECT_THAT(wrap_dims("sum", Shape{-1, 0}, 3), ElementsAre(2, 0));
  EXPECT_THAT(wrap_dims("sum", Shape{}, 2), ElementsAre(0, 1));
  EXPECT_THAT(wrap_dims("sum", Shape{0}, 0), ElementsAre()) << "a scalar has a dimension 0, which is none";
  EXPECT_THAT(wrap_dims("sum", Shape{-1}, 0), ElementsAre());
  EXPECT_EQ(error_of([] { wrap_dims("sum", Shape{0, -2}, 2); }),
            "sum: dim 0 appears multiple times in the list of dims");
}

}  // namespace
}  // namespace tapewire
