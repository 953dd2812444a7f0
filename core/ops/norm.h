#pragma once

#include <optional>

#include "core/tensor/attributes.h"

namespace tapewire {

/// Norms over some or all dimensions.

/// torch.norm's p: a number, or 'fro' or 'nuc'.
struct NormOrder {
  enum class Kind : uint8_t { kNumber, kFrobenius, kNuclear };
  Kind kind = Kind::kFrobenius;
  double p = 2;  // of a number

  friend bool operator==(const NormOrder&, const NormOrder&) = default;
};
template <>
struct AttributeType<NormOrder> {
  static constexpr std::string_view kName = "number or string";
  static NormOrder from(const Value& v);
  static Value to(const NormOrder& v);
};

struct NormAttrs {
  std::optional<NormOrder> p = NormOrder{};
  std::optional<Shape> dim;
  bool keepdim = false;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{field("p", &NormAttrs::p, "a number, 'fro' or 'nuc'; none: 2"),
                      field("dim", &NormAttrs::dim, "dimensions to reduce, two of them for 'nuc'; none or empty: all"),
                      field("keepdim", &NormAttrs::keepdim, "leave reduced dimensions as ones"),
                      field("dtype", &NormAttrs::dtype, "input is converted to it first")};
  }
};
struct VectorNormAttrs {
  double ord = 2;
  std::optional<Shape> dim;
  bool keepdim = false;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{field("ord", &VectorNormAttrs::ord, "0 counts what is not zero; inf and -inf pick extremes"),
                      field("dim", &VectorNormAttrs::dim, "dimensions to reduce; none or empty: all"),
                      field("keepdim", &VectorNormAttrs::keepdim, "leave reduced dimensions as ones"),
                      field("dtype", &VectorNormAttrs::dtype, "input is converted to it first")};
  }
};

/// torch.norm: of vectors for a number or 'fro' (which is 2), the sum of the singular values of matrices for 'nuc'.
/// Floating only. The gradient is 0 where the norm is.
Tensor norm(const Tensor& x, const NormAttrs& attrs = {});
/// torch.linalg.vector_norm: (sum |x|^ord)^(1/ord).
Tensor vector_norm(const Tensor& x, const VectorNormAttrs& attrs = {});

}  // namespace tapewire
