#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

using Shape = std::vector<int64_t>;

/// The wire's dtype of a C++ type: float, double, int64_t, int32_t, uint8_t, bool.
template <class T>
struct DataTypeOf;
template <>
struct DataTypeOf<float> {
  static constexpr v1::DataType value = v1::DATA_TYPE_FLOAT32;
};
template <>
struct DataTypeOf<double> {
  static constexpr v1::DataType value = v1::DATA_TYPE_FLOAT64;
};
template <>
struct DataTypeOf<int64_t> {
  static constexpr v1::DataType value = v1::DATA_TYPE_INT64;
};
template <>
struct DataTypeOf<int32_t> {
  static constexpr v1::DataType value = v1::DATA_TYPE_INT32;
};
template <>
struct DataTypeOf<uint8_t> {
  static constexpr v1::DataType value = v1::DATA_TYPE_UINT8;
};
template <>
struct DataTypeOf<bool> {
  static constexpr v1::DataType value = v1::DATA_TYPE_BOOL;
};

/// "float32", "int64", ...; "unspecified" for none, "dtype 99" for a number that this build does not know.
std::string dtype_name(v1::DataType dtype);

/// The dtype of a name that dtype_name gives, or nothing.
std::optional<v1::DataType> parse_dtype(std::string_view name);

/// Bytes of one element; 0 for an unspecified or unknown dtype.
size_t dtype_size(v1::DataType dtype);

/// "[64, 1, 28, 28]".
std::string shape_text(std::span<const int64_t> shape);
template <class Message>
std::string shape_text_of(const Message& message) {
  return shape_text({message.shape().data(), static_cast<size_t>(message.shape_size())});
}

/// Product of the dimensions, 1 for a scalar. INVALID_ARGUMENT if one is negative or the product does not fit in int64.
absl::StatusOr<int64_t> element_count(std::span<const int64_t> shape);

/// OK if the tensor has a known dtype, a sane shape and exactly the bytes they ask for; INVALID_ARGUMENT says what is
/// off.
absl::Status check_tensor(const v1::Tensor& tensor);

/// A tensor of row-major bytes. Throws std::invalid_argument if their number is not what dtype and shape ask for: the
/// caller's mistake, not an input's.
v1::Tensor make_tensor_of_bytes(v1::DataType dtype, const Shape& shape, std::string bytes);

/// A tensor of row-major values: make_tensor<float>({2, 3}, values). Throws std::invalid_argument if their number is
/// not the product of the shape.
template <class T>
v1::Tensor make_tensor(const Shape& shape, std::span<const T> values) {
  const auto* bytes = reinterpret_cast<const char*>(values.data());
  return make_tensor_of_bytes(DataTypeOf<T>::value, shape, std::string(bytes, values.size_bytes()));
}
template <class T>
v1::Tensor make_tensor(const Shape& shape, const std::vector<T>& values) {
  return make_tensor<T>(shape, std::span<const T>(values));
}

/// A tensor with no dimensions.
template <class T>
v1::Tensor make_scalar(T value) {
  return make_tensor<T>({}, std::span<const T>(&value, 1));
}

v1::NamedTensor named(std::string name, v1::Tensor tensor);

namespace detail {
absl::Status check_view(const v1::Tensor& tensor, v1::DataType wanted);
}  // namespace detail

/// The elements, without a copy; valid while `tensor` is not changed. INVALID_ARGUMENT if the tensor is malformed or
/// has another dtype. A bool tensor is viewed as uint8_t, since its bytes come from outside.
template <class T>
absl::StatusOr<std::span<const T>> view(const v1::Tensor& tensor) {
  static_assert(!std::is_same_v<T, bool>, "view a bool tensor as uint8_t");
  if (auto status = detail::check_view(tensor, DataTypeOf<T>::value); !status.ok()) return status;
  return std::span<const T>(reinterpret_cast<const T*>(tensor.data().data()), tensor.data().size() / sizeof(T));
}

/// The elements of any dtype, converted (float16 and bfloat16 too). Integers beyond 2^53 lose precision.
absl::StatusOr<std::vector<double>> to_doubles(const v1::Tensor& tensor);

/// The tensor of this name, or nullptr. An empty name means the only one.
const v1::Tensor* find_tensor(const google::protobuf::RepeatedPtrField<v1::NamedTensor>& tensors,
                              std::string_view name = {});

}  // namespace tapewire::client
