#include "server/codec/tensor_codec.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "core/tensor/allocator.h"
#include "core/tensor/views.h"
#include "gmock/gmock.h"
#include "server/codec/payload.h"

namespace tapewire::codec {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Limits kLimits{.max_tensor_bytes = 1 << 20};

v1::Tensor wire(v1::DataType dtype, std::vector<int64_t> shape, std::string data) {
  v1::Tensor proto;
  proto.set_dtype(dtype);
  for (const int64_t size : shape) proto.add_shape(size);
  proto.set_data(std::move(data));
  return proto;
}

template <class T>
std::string bytes_of(std::vector<T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// The Error that decoding gives; fails the test when there is none.
Error error_of(v1::Tensor proto, const Limits& limits = kLimits) {
  try {
    decode_tensor(std::move(proto), "inputs[0] 'x'", limits);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {absl::StatusCode::kOk, ""};
}

TEST(TensorCodec, EveryDtypeGoesThereAndBack) {
  for (const Tensor& tensor :
       {Tensor::of<float>({1, -2.5f}), Tensor::of<double>({1e300}), Tensor::of<int64_t>({-1, 1LL << 60}, {2, 1}),
        Tensor::of<int32_t>({7}), Tensor::of<uint8_t>({0, 255}), Tensor::of<bool>({true, false}),
        Tensor::scalar(Scalar(3.5)), Tensor::empty({0, 3}), Tensor::zeros({100, 100})}) {
    const Tensor back = decode_tensor(encode_tensor(tensor), "t", kLimits);
    EXPECT_EQ(back.dtype(), tensor.dtype());
    EXPECT_EQ(back.sizes(), tensor.sizes());
    EXPECT_EQ(std::memcmp(back.raw_data(), tensor.raw_data(), tensor.nbytes()), 0);
  }
}

TEST(TensorCodec, StridedTensorsAreRowMajorOnTheWire) {
  const Tensor matrix = Tensor::of<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor turned = matrix.alias(views::transpose(matrix.geometry(), 0, 1));
  EXPECT_EQ(encode_tensor(turned).data(), bytes_of<float>({1, 4, 2, 5, 3, 6}));
  const Tensor column = matrix.alias(views::select(matrix.geometry(), 1, 1));
  EXPECT_EQ(encode_tensor(column).data(), bytes_of<float>({2, 5}));
  const Tensor row = Tensor::of<float>({1, 2}, {1, 2});
  const Tensor repeated = row.alias(views::expand("expand", row.geometry(), Shape{3, 2}));
  EXPECT_EQ(encode_tensor(repeated).data(), bytes_of<float>({1, 2, 1, 2, 1, 2}));
  const Tensor sliced = matrix.alias(views::slice(matrix.geometry(), 1, 1, 3, 1));
  EXPECT_EQ(encode_tensor(sliced).data(), bytes_of<float>({2, 3, 5, 6}));
}

TEST(TensorCodec, LargePayloadIsAdoptedNotCopied) {
  v1::Tensor proto = wire(v1::DATA_TYPE_UINT8, {4096}, std::string(4096, 'a'));
  const void* payload = proto.data().data();
  const int64_t before = tensor_allocator().stats().live;
  Tensor tensor = decode_tensor(std::move(proto), "t", kLimits);
  EXPECT_EQ(tensor.raw_data(), payload);
  EXPECT_GE(tensor_allocator().stats().live, before + 4096);
  tensor = Tensor();
  EXPECT_EQ(tensor_allocator().stats().live, before);
}

TEST(TensorCodec, WrongByteCountSaysWhatCameAndWhatWasExpected) {
  // None, an element too few, half of one, a byte too few and too many, an element too many, twice as many.
  for (const size_t bytes : {0u, 20u, 22u, 23u, 25u, 28u, 48u}) {
    const Error error = error_of(wire(v1::DATA_TYPE_FLOAT32, {2, 3}, std::string(bytes, '\0')));
    EXPECT_EQ(error.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(error.message(), str_cat("inputs[0] 'x': tensor float32[2, 3] expects 24 bytes, got ", bytes));
  }
  for (const auto dtype : {v1::DATA_TYPE_UINT8, v1::DATA_TYPE_BOOL}) {
    EXPECT_THAT(error_of(wire(dtype, {3}, std::string(4, '\0'))).message(), HasSubstr("expects 3 bytes, got 4"));
    EXPECT_THAT(error_of(wire(dtype, {0}, std::string(1, '\0'))).message(), HasSubstr("expects 0 bytes, got 1"));
    EXPECT_THAT(error_of(wire(dtype, {}, "")).message(), HasSubstr("expects 1 bytes, got 0"));
  }
  // Of what is widened on the way the bytes on the wire count.
  for (const auto dtype : {v1::DATA_TYPE_FLOAT16, v1::DATA_TYPE_BFLOAT16}) {
    for (const size_t bytes : {4u, 5u, 7u, 8u, 12u}) {
      EXPECT_THAT(error_of(wire(dtype, {3}, std::string(bytes, '\0'))).message(),
                  HasSubstr(str_cat("expects 6 bytes, got ", bytes)));
    }
  }
}

TEST(TensorCodec, BadShapesAreRefused) {
  EXPECT_EQ(error_of(wire(v1::DATA_TYPE_FLOAT32, {2, -1}, "")).message(),
            "inputs[0] 'x': shape: expects sizes of 0 or more, got [2, -1]");
  const int64_t huge = int64_t{1} << 40;
  EXPECT_THAT(error_of(wire(v1::DATA_TYPE_UINT8, {huge, huge}, "")).message(), HasSubstr("inputs[0] 'x': shape"));
  EXPECT_THAT(error_of(wire(v1::DATA_TYPE_UINT8, {0, huge, huge, huge}, "")).message(), HasSubstr("inputs[0] 'x'"));
  EXPECT_THAT(error_of(wire(v1::DATA_TYPE_UINT8, std::vector<int64_t>(65, 1), "a")).message(),
              HasSubstr("at most 64 dimensions, got 65"));
  EXPECT_EQ(decode_tensor(wire(v1::DATA_TYPE_UINT8, std::vector<int64_t>(64, 1), "a"), "t", kLimits).dim(), 64);
}

TEST(TensorCodec, TensorOverTheLimitNamesTheFlag) {
  const Error error = error_of(wire(v1::DATA_TYPE_FLOAT32, {1 << 20}, ""));
  EXPECT_EQ(error.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(error.message(), HasSubstr("--max_tensor_bytes=1048576"));
  // A 16-bit tensor counts as what it becomes.
  EXPECT_EQ(error_of(wire(v1::DATA_TYPE_FLOAT16, {1 << 19}, std::string(1 << 20, '\0'))).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(TensorCodec, UnknownDtypesAreRefused) {
  EXPECT_THAT(error_of(wire(v1::DATA_TYPE_UNSPECIFIED, {}, "")).message(), HasSubstr("DATA_TYPE_UNSPECIFIED"));
  EXPECT_THAT(error_of(wire(static_cast<v1::DataType>(99), {}, "")).message(), HasSubstr("99"));
}

TEST(TensorCodec, BoolsAreZeroOrOne) {
  EXPECT_THAT(error_of(wire(v1::DATA_TYPE_BOOL, {3}, std::string("\0\1\2", 3))).message(),
              HasSubstr("got 2 at index 2"));
}

TEST(TensorCodec, HalvesBecomeFloats) {
  const Tensor half =
      decode_tensor(wire(v1::DATA_TYPE_FLOAT16, {8},
                         bytes_of<uint16_t>({0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00, 0xfc00, 0x7e00})),
                    "t", kLimits);
  EXPECT_EQ(half.dtype(), DType::kFloat32);
  const std::vector<float> values = half.to_vector<float>();
  EXPECT_THAT(std::vector<float>(values.begin(), values.begin() + 5), ElementsAre(1, -2, 65504, 0x1p-24f, -0.0f));
  EXPECT_EQ(values[5], std::numeric_limits<float>::infinity());
  EXPECT_EQ(values[6], -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(values[7]));
  EXPECT_TRUE(std::signbit(values[4]));
  const Tensor brain =
      decode_tensor(wire(v1::DATA_TYPE_BFLOAT16, {2}, bytes_of<uint16_t>({0x3f80, 0xc020})), "t", kLimits);
  EXPECT_THAT(brain.to_vector<float>(), ElementsAre(1, -2.5f));
}

TEST(TensorCodec, EveryHalfIsExact) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = static_cast<int>((bits >> 10) & 0x1f);
    const double fraction = bits & 0x3ff;
    if (exponent == 0x1f) continue;
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    const double expected = (bits & 0x8000) != 0 ? -magnitude : magnitude;
    ASSERT_EQ(half_to_float(static_cast<uint16_t>(bits)), static_cast<float>(expected)) << bits;
  }
}

TEST(TensorCodec, NamedTensorsKeepOrderAndRefuseDoubles) {
  google::protobuf::RepeatedPtrField<v1::NamedTensor> protos;
  encode_tensors({{"b", Tensor::of<float>({1})}, {"a", Tensor::of<float>({2})}}, protos);
  const std::vector<NamedTensor> tensors = decode_tensors(std::move(protos), "inputs", kLimits);
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "b");
  EXPECT_EQ(tensors[1].tensor.item<float>(), 2);

  google::protobuf::RepeatedPtrField<v1::NamedTensor> twice;
  encode_tensors({{"a", Tensor::of<float>({1})}, {"a", Tensor::of<float>({2})}}, twice);
  try {
    decode_tensors(std::move(twice), "inputs", kLimits);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "inputs[1] 'a': this name appears twice");
  }
}

TEST(TensorCodec, AbsentTensors) {
  google::protobuf::RepeatedPtrField<v1::NamedTensor> protos;
  encode_tensors({{"unused", Tensor()}}, protos);
  EXPECT_FALSE(protos[0].has_tensor());
  try {
    decode_tensors(std::move(protos), "wrt", kLimits);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "wrt[0] 'unused': has no tensor");
  }
}

TEST(TensorCodec, NamesFromOutsideAreEscapedInMessages) {
  EXPECT_EQ(element_name("inputs", 3, ""), "inputs[3]");
  EXPECT_THAT(element_name("inputs", 0, "a\nb"), testing::Not(HasSubstr("\n")));
  EXPECT_LT(element_name("inputs", 0, std::string(100000, 'x')).size(), 200u);
}

TEST(TensorCodec, SpecsMayLeaveSizesAndDtypeOpen) {
  v1::TensorSpec proto;
  encode_spec("x", OpenSpec{DType::kInt64, {-1, 3}}, proto);
  const OpenSpec spec = decode_spec(proto, "inputs[0]");
  EXPECT_EQ(spec.dtype, DType::kInt64);
  EXPECT_EQ(spec.shape, (Shape{-1, 3}));
  proto.set_dtype(v1::DATA_TYPE_UNSPECIFIED);
  EXPECT_EQ(decode_spec(proto, "inputs[0]").dtype, std::nullopt);
  proto.set_shape(0, -2);
  EXPECT_THROW(decode_spec(proto, "inputs[0]"), Error);
}

}  // namespace
}  // namespace tapewire::codec
