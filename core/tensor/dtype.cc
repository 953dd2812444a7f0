#include "core/tensor/dtype.h"

#include <algorithm>
#include <array>

namespace tapewire {

std::string_view name_of(DType dtype) {
  constexpr std::array<std::string_view, kDTypeCount> kNames{"float32", "float64", "int64", "int32", "uint8", "bool"};
  return kNames[static_cast<size_t>(dtype)];
}

bool parse_dtype(std::string_view name, DType& dtype) {
  constexpr std::array<std::pair<std::string_view, DType>, 10> kNames{{{"float32", DType::kFloat32},
                                                                       {"float", DType::kFloat32},
                                                                       {"float64", DType::kFloat64},
                                                                       {"double", DType::kFloat64},
                                                                       {"int64", DType::kInt64},
                                                                       {"long", DType::kInt64},
                                                                       {"int32", DType::kInt32},
                                                                       {"int", DType::kInt32},
                                                                       {"uint8", DType::kUInt8},
                                                                       {"bool", DType::kBool}}};
  const auto* found = std::ranges::find(kNames, name, &std::pair<std::string_view, DType>::first);
  if (found == kNames.end()) return false;
  dtype = found->second;
  return true;
}

DType dtype_of(const Scalar& scalar) {
  if (scalar.is_bool()) return DType::kBool;
  return scalar.is_int() ? DType::kInt64 : DType::kFloat32;
}

DType promote(DType a, DType b) {
  // bool < uint8 < int32 < int64 < float32 < float64: with no signed 8-bit type the lattice is a line.
  const auto rank = [](DType d) {
    switch (d) {
      case DType::kBool:
        return 0;
      case DType::kUInt8:
        return 1;
      case DType::kInt32:
        return 2;
      case DType::kInt64:
        return 3;
      case DType::kFloat32:
        return 4;
      default:
        return 5;
    }
  };
  return rank(a) >= rank(b) ? a : b;
}

}  // namespace tapewire
