#include "server/codec/payload.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/limit_error.h"

namespace tapewire::codec {
namespace {

// From here on a payload is worth keeping instead of copying.
constexpr size_t kAdoptBytes = 1024;

Tensor convert(const std::string& payload, const WireType& type, const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, DType::kFloat32);
  auto* out = tensor.mutable_data<float>();
  const auto count = static_cast<size_t>(tensor.numel());
  const char* in = payload.data();
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, in + 2 * i, sizeof bits);
    out[i] = type.convert == WireType::Convert::kFloat16 ? half_to_float(bits)
                                                         : std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
  return tensor;
}

}  // namespace

float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {
    // Zero and subnormals: the fraction counts units of 2^-24.
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t widened = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (widened << 23) | (fraction << 13));
}

WireType wire_type(v1::DataType dtype, std::string_view where) {
  using Convert = WireType::Convert;
  switch (dtype) {
    case v1::DATA_TYPE_FLOAT32:
      return {DType::kFloat32, 4, Convert::kNone, "float32"};
    case v1::DATA_TYPE_FLOAT64:
      return {DType::kFloat64, 8, Convert::kNone, "float64"};
    case v1::DATA_TYPE_INT64:
      return {DType::kInt64, 8, Convert::kNone, "int64"};
    case v1::DATA_TYPE_INT32:
      return {DType::kInt32, 4, Convert::kNone, "int32"};
    case v1::DATA_TYPE_UINT8:
      return {DType::kUInt8, 1, Convert::kNone, "uint8"};
    case v1::DATA_TYPE_BOOL:
      return {DType::kBool, 1, Convert::kNone, "bool"};
    case v1::DATA_TYPE_FLOAT16:
      return {DType::kFloat32, 2, Convert::kFloat16, "float16"};
    case v1::DATA_TYPE_BFLOAT16:
      return {DType::kFloat32, 2, Convert::kBFloat16, "bfloat16"};
    case v1::DATA_TYPE_UNSPECIFIED:
      fail(where, ": dtype: expects a data type, got DATA_TYPE_UNSPECIFIED");
    default:
      fail(where, ": dtype: expects a data type, got the unknown number ", static_cast<int>(dtype));
  }
}

Shape wire_shape(const google::protobuf::RepeatedField<int64_t>& shape, std::string_view where) {
  if (shape.size() > kMaxDims) fail(where, ": shape: expects at most ", kMaxDims, " dimensions, got ", shape.size());
  Shape sizes(shape.begin(), shape.end());
  for (const int64_t size : sizes) {
    if (size < 0) fail(where, ": shape: expects sizes of 0 or more, got ", to_string(Ints(sizes)));
  }
  try {
    numel_of(sizes);
  } catch (const Error& error) {
    throw error.within(str_cat(where, ": shape"));
  }
  return sizes;
}

int64_t wire_bytes(const WireType& type, const Shape& shape, std::string_view where, const Limits& limits) {
  const int64_t count = numel_of(shape);
  const int64_t most = limits.max_tensor_bytes / static_cast<int64_t>(std::max(type.bytes, size_of(type.dtype)));
  if (count > most) {
    fail_limit("max_tensor_bytes", where, ": tensor ", type.name, to_string(Ints(shape)),
               " is larger than --max_tensor_bytes=", limits.max_tensor_bytes, " allows");
  }
  return count * static_cast<int64_t>(type.bytes);
}

Tensor from_payload(std::unique_ptr<std::string> payload, const WireType& type, const Shape& shape,
                    std::string_view where) {
  if (payload == nullptr) payload = std::make_unique<std::string>();
  if (type.convert != WireType::Convert::kNone) return convert(*payload, type, shape);
  if (type.dtype == DType::kBool) {
    const auto bad = std::find_if(payload->begin(), payload->end(), [](char c) { return static_cast<uint8_t>(c) > 1; });
    if (bad != payload->end()) {
      fail(where, ": a bool is a byte 0 or 1, got ", int{static_cast<uint8_t>(*bad)}, " at index ",
           bad - payload->begin());
    }
  }
  if (payload->size() >= kAdoptBytes) {
    const std::shared_ptr<std::string> owner(std::move(payload));
    return Tensor::over(Buffer::adopt(reinterpret_cast<std::byte*>(owner->data()), owner->size(), owner), shape,
                        type.dtype);
  }
  Tensor tensor = Tensor::empty(shape, type.dtype);
  if (!payload->empty()) std::memcpy(tensor.mutable_raw_data(), payload->data(), payload->size());
  return tensor;
}

}  // namespace tapewire::codec
