#include "client/cpp/tensor.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tapewire::client {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire's tensors are little-endian");

struct DataTypeInfo {
  v1::DataType dtype;
  const char* name;
  size_t size;
};

constexpr std::array<DataTypeInfo, 8> kDataTypes{{
    {v1::DATA_TYPE_FLOAT32, "float32", 4},
    {v1::DATA_TYPE_FLOAT64, "float64", 8},
    {v1::DATA_TYPE_INT64, "int64", 8},
    {v1::DATA_TYPE_INT32, "int32", 4},
    {v1::DATA_TYPE_UINT8, "uint8", 1},
    {v1::DATA_TYPE_BOOL, "bool", 1},
    {v1::DATA_TYPE_FLOAT16, "float16", 2},
    {v1::DATA_TYPE_BFLOAT16, "bfloat16", 2},
}};

const DataTypeInfo* find_info(v1::DataType dtype) {
  for (const auto& info : kDataTypes) {
    if (info.dtype == dtype) return &info;
  }
  return nullptr;
}

double half_to_double(uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int mantissa = bits & 0x3ff;
  double value = 0;
  if (exponent == 0x1f) {
    value = mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, -24);
  } else {
    value = std::ldexp(mantissa + 1024, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

double bfloat16_to_double(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

template <class T, class Convert>
std::vector<double> convert(const std::string& data, Convert to_double) {
  std::vector<double> values(data.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T element;
    std::memcpy(&element, data.data() + i * sizeof(T), sizeof(T));
    values[i] = to_double(element);
  }
  return values;
}

template <class T>
std::vector<double> convert(const std::string& data) {
  return convert<T>(data, [](T element) { return static_cast<double>(element); });
}

}  // namespace

std::string dtype_name(v1::DataType dtype) {
  if (const auto* info = find_info(dtype)) return info->name;
  if (dtype == v1::DATA_TYPE_UNSPECIFIED) return "unspecified";
  return absl::StrCat("dtype ", static_cast<int>(dtype));
}

std::optional<v1::DataType> parse_dtype(std::string_view name) {
  for (const auto& info : kDataTypes) {
    if (info.name == name) return info.dtype;
  }
  return std::nullopt;
}

size_t dtype_size(v1::DataType dtype) {
  const auto* info = find_info(dtype);
  return info == nullptr ? 0 : info->size;
}

std::string shape_text(std::span<const int64_t> shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

absl::StatusOr<int64_t> element_count(std::span<const int64_t> shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0) return absl::InvalidArgumentError(absl::StrCat("shape ", shape_text(shape), " has a negative size"));
    if (dim == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, dim, &count)) {
      return absl::InvalidArgumentError(
          absl::StrCat("shape ", shape_text(shape), " has more elements than int64 holds"));
    }
  }
  return empty ? 0 : count;
}

absl::Status check_tensor(const v1::Tensor& tensor) {
  const size_t size = dtype_size(tensor.dtype());
  if (size == 0) return absl::InvalidArgumentError(absl::StrCat("tensor of ", dtype_name(tensor.dtype())));
  const auto count = element_count({tensor.shape().data(), static_cast<size_t>(tensor.shape_size())});
  if (!count.ok()) return count.status();
  // Compared by division: count * size may overflow.
  if (tensor.data().size() % size != 0 || tensor.data().size() / size != static_cast<size_t>(*count)) {
    return absl::InvalidArgumentError(absl::StrCat(dtype_name(tensor.dtype()), " tensor of shape ",
                                                   shape_text_of(tensor), " wants ", *count, " elements of ", size,
                                                   " bytes, has ", tensor.data().size(), " bytes"));
  }
  return absl::OkStatus();
}

v1::Tensor make_tensor_of_bytes(v1::DataType dtype, const Shape& shape, std::string bytes) {
  v1::Tensor tensor;
  tensor.set_dtype(dtype);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  tensor.set_data(std::move(bytes));
  if (const auto status = check_tensor(tensor); !status.ok()) {
    throw std::invalid_argument("make_tensor: " + std::string(status.message()));
  }
  return tensor;
}

v1::NamedTensor named(std::string name, v1::Tensor tensor) {
  v1::NamedTensor result;
  result.set_name(std::move(name));
  *result.mutable_tensor() = std::move(tensor);
  return result;
}

absl::Status detail::check_view(const v1::Tensor& tensor, v1::DataType wanted) {
  const bool bytes_of_bool = wanted == v1::DATA_TYPE_UINT8 && tensor.dtype() == v1::DATA_TYPE_BOOL;
  if (tensor.dtype() != wanted && !bytes_of_bool) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor is ", dtype_name(tensor.dtype()), ", expected ", dtype_name(wanted)));
  }
  return check_tensor(tensor);
}

absl::StatusOr<std::vector<double>> to_doubles(const v1::Tensor& tensor) {
  if (auto status = check_tensor(tensor); !status.ok()) return status;
  switch (tensor.dtype()) {
    case v1::DATA_TYPE_FLOAT32:
      return convert<float>(tensor.data());
    case v1::DATA_TYPE_FLOAT64:
      return convert<double>(tensor.data());
    case v1::DATA_TYPE_INT64:
      return convert<int64_t>(tensor.data());
    case v1::DATA_TYPE_INT32:
      return convert<int32_t>(tensor.data());
    case v1::DATA_TYPE_FLOAT16:
      return convert<uint16_t>(tensor.data(), half_to_double);
    case v1::DATA_TYPE_BFLOAT16:
      return convert<uint16_t>(tensor.data(), bfloat16_to_double);
    default:
      return convert<uint8_t>(tensor.data());
  }
}

const v1::Tensor* find_tensor(const google::protobuf::RepeatedPtrField<v1::NamedTensor>& tensors,
                              std::string_view name) {
  if (name.empty()) return tensors.size() == 1 ? &tensors[0].tensor() : nullptr;
  for (const auto& candidate : tensors) {
    if (candidate.name() == name) return &candidate.tensor();
  }
  return nullptr;
}

}  // namespace tapewire::client
