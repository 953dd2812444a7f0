#include "client/cpp/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace tapewire::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(TensorTest, MakesAndViews) {
  const v1::Tensor tensor = make_tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(tensor.dtype(), v1::DATA_TYPE_FLOAT32);
  EXPECT_EQ(shape_text_of(tensor), "[2, 3]");
  EXPECT_EQ(tensor.data().size(), 24u);
  EXPECT_THAT(*view<float>(tensor), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(TensorTest, AScalarHasNoDimensions) {
  const v1::Tensor tensor = make_scalar<int64_t>(-7);
  EXPECT_EQ(tensor.shape_size(), 0);
  EXPECT_THAT(*view<int64_t>(tensor), ElementsAre(-7));
}

TEST(TensorTest, TooFewValuesThrow) {
  EXPECT_THROW(make_tensor<float>({2, 2}, {1, 2, 3}), std::invalid_argument);
  EXPECT_THROW(make_tensor<float>({-1}, std::vector<float>{}), std::invalid_argument);
}

TEST(TensorTest, AViewOfAnotherDtypeIsRefused) {
  const auto doubles = view<double>(make_tensor<float>({1}, {1}));
  EXPECT_EQ(doubles.status(), absl::InvalidArgumentError("tensor is float32, expected float64"));
}

TEST(TensorTest, AViewOfMalformedBytesIsRefused) {
  v1::Tensor tensor = make_tensor<float>({2}, {1, 2});
  tensor.mutable_data()->pop_back();
  EXPECT_THAT(std::string(view<float>(tensor).status().message()),
              HasSubstr("wants 2 elements of 4 bytes, has 7 bytes"));
  tensor.mutable_data()->clear();
  EXPECT_FALSE(view<float>(tensor).ok());
}

TEST(TensorTest, HostileShapesAreRefused) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::DATA_TYPE_UINT8);
  tensor.add_shape(-5);
  EXPECT_THAT(std::string(check_tensor(tensor).message()), HasSubstr("negative"));
  tensor.set_shape(0, INT64_MAX);
  tensor.add_shape(INT64_MAX);
  EXPECT_THAT(std::string(check_tensor(tensor).message()), HasSubstr("more elements than int64 holds"));
  tensor.add_shape(0);
  EXPECT_FALSE(check_tensor(tensor).ok());
  tensor.set_dtype(v1::DATA_TYPE_FLOAT64);
  tensor.clear_shape();
  tensor.add_shape(int64_t{1} << 61);  // times 8 wraps to 0
  EXPECT_FALSE(check_tensor(tensor).ok());
}

TEST(TensorTest, UnknownDtypesAreRefused) {
  v1::Tensor tensor;
  EXPECT_FALSE(check_tensor(tensor).ok());
  tensor.set_dtype(static_cast<v1::DataType>(99));
  EXPECT_EQ(check_tensor(tensor), absl::InvalidArgumentError("tensor of dtype 99"));
}

TEST(TensorTest, ABoolIsViewedAsBytes) {
  const v1::Tensor tensor = make_tensor_of_bytes(v1::DATA_TYPE_BOOL, {3}, std::string("\0\1\2", 3));
  EXPECT_THAT(*view<uint8_t>(tensor), ElementsAre(0, 1, 2));
}

TEST(TensorTest, EveryDtypeConvertsToDoubles) {
  EXPECT_THAT(*to_doubles(make_tensor<int32_t>({2}, {-1, 2})), ElementsAre(-1, 2));
  EXPECT_THAT(*to_doubles(make_tensor<uint8_t>({1}, {255})), ElementsAre(255));
  // 1.0, -2.0, 65504, the smallest subnormal, infinity
  const v1::Tensor half =
      make_tensor_of_bytes(v1::DATA_TYPE_FLOAT16, {5}, std::string("\x00\x3c\x00\xc0\xff\x7b\x01\x00\x00\x7c", 10));
  EXPECT_THAT(*to_doubles(half), ElementsAre(1, -2, 65504, std::ldexp(1, -24), INFINITY));
  const v1::Tensor bfloat = make_tensor_of_bytes(v1::DATA_TYPE_BFLOAT16, {2}, std::string("\x80\x3f\x40\xc0", 4));
  EXPECT_THAT(*to_doubles(bfloat), ElementsAre(1, -3));
}

TEST(TensorTest, DtypeNamesGoBothWays) {
  for (int code = v1::DATA_TYPE_FLOAT32; code <= v1::DATA_TYPE_BFLOAT16; ++code) {
    const auto dtype = static_cast<v1::DataType>(code);
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
    EXPECT_GT(dtype_size(dtype), 0u);
  }
  EXPECT_EQ(parse_dtype("float128"), std::nullopt);
}

TEST(TensorTest, FindsByNameOrTheOnlyOne) {
  google::protobuf::RepeatedPtrField<v1::NamedTensor> tensors;
  *tensors.Add() = named("a", make_scalar(1.0f));
  EXPECT_EQ(find_tensor(tensors), &tensors[0].tensor());
  *tensors.Add() = named("b", make_scalar(2.0f));
  EXPECT_EQ(find_tensor(tensors), nullptr);
  EXPECT_EQ(find_tensor(tensors, "b"), &tensors[1].tensor());
  EXPECT_EQ(find_tensor(tensors, "c"), nullptr);
}

}  // namespace
}  // namespace tapewire::client
