#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/scalar.h"

namespace tapewire {

/// Element types. Only the two floating ones may require gradients.
enum class DType : uint8_t { kFloat32, kFloat64, kInt64, kInt32, kUInt8, kBool };
inline constexpr int kDTypeCount = 6;

/// "float32", ..., as PyTorch prints them.
std::string_view name_of(DType dtype);
/// The dtype of that name (also "float", "double", "long", "int"); false when there is none.
bool parse_dtype(std::string_view name, DType& dtype);

constexpr size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
    case DType::kInt64:
      return 8;
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    default:
      return 1;
  }
}
constexpr bool is_floating(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat64; }
constexpr bool is_integral(DType dtype) { return !is_floating(dtype) && dtype != DType::kBool; }

/// The dtype of a Python number where no tensor says otherwise: bool, int64, or float32.
DType dtype_of(const Scalar& scalar);

/// torch.promote_types: the smallest dtype that both convert to.
DType promote(DType a, DType b);

template <class T>
struct TypeTag {
  using type = T;
};

template <class T>
constexpr DType dtype_for() {
  if constexpr (std::is_same_v<T, float>)
    return DType::kFloat32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::kFloat64;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::kInt64;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::kInt32;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DType::kUInt8;
  else {
    static_assert(std::is_same_v<T, bool>, "not an element type");
    return DType::kBool;
  }
}

/// Calls f(TypeTag<T>) with the C++ type of `dtype`.
template <class F>
decltype(auto) dispatch_all(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32:
      return f(TypeTag<float>{});
    case DType::kFloat64:
      return f(TypeTag<double>{});
    case DType::kInt64:
      return f(TypeTag<int64_t>{});
    case DType::kInt32:
      return f(TypeTag<int32_t>{});
    case DType::kUInt8:
      return f(TypeTag<uint8_t>{});
    case DType::kBool:
      return f(TypeTag<bool>{});
  }
  fail_internal("dispatch_all: no such dtype");
}

/// Likewise for all but bool; `op` is named in the error.
template <class F>
decltype(auto) dispatch_numeric(std::string_view op, DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32:
      return f(TypeTag<float>{});
    case DType::kFloat64:
      return f(TypeTag<double>{});
    case DType::kInt64:
      return f(TypeTag<int64_t>{});
    case DType::kInt32:
      return f(TypeTag<int32_t>{});
    case DType::kUInt8:
      return f(TypeTag<uint8_t>{});
    case DType::kBool:
      break;
  }
  fail(op, ": not implemented for dtype ", name_of(dtype));
}

/// Likewise for float32 and float64 alone.
template <class F>
decltype(auto) dispatch_floating(std::string_view op, DType dtype, F&& f) {
  if (dtype == DType::kFloat32) return f(TypeTag<float>{});
  if (dtype == DType::kFloat64) return f(TypeTag<double>{});
  fail(op, ": expects float32 or float64, got ", name_of(dtype));
}

}  // namespace tapewire
