#pragma once

#include <array>
#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Elementwise arithmetic of two operands, which broadcast and promote as PyTorch's do. A Scalar operand is a Python
/// number: it yields in type promotion. `name_` is the in-place form: it changes and returns its first operand.

struct AddAttrs {
  Scalar alpha = 1;  // other is multiplied by it
  static constexpr auto fields() { return std::tuple{field("alpha", &AddAttrs::alpha, "factor of other")}; }
};

enum class RoundingMode : uint8_t { kTrunc, kFloor };
template <>
struct EnumNames<RoundingMode> {
  static constexpr std::array<std::string_view, 2> names{"trunc", "floor"};
};

struct DivAttrs {
  std::optional<RoundingMode> rounding_mode;
  static constexpr auto fields() {
    return std::tuple{field("rounding_mode", &DivAttrs::rounding_mode,
                            "none: true division, which makes integers floats; or 'trunc' or 'floor'")};
  }
};

/// input + alpha * other.
Tensor add(const Tensor& x, const Tensor& other, const AddAttrs& attrs = {});
Tensor add_(const Tensor& x, const Tensor& other, const AddAttrs& attrs = {});
/// input - alpha * other; rsub is other - alpha * input.
Tensor sub(const Tensor& x, const Tensor& other, const AddAttrs& attrs = {});
Tensor sub_(const Tensor& x, const Tensor& other, const AddAttrs& attrs = {});
Tensor rsub(const Tensor& x, const Tensor& other, const AddAttrs& attrs = {});
Tensor mul(const Tensor& x, const Tensor& other);
Tensor mul_(const Tensor& x, const Tensor& other);
Tensor div(const Tensor& x, const Tensor& other, const DivAttrs& attrs = {});
Tensor div_(const Tensor& x, const Tensor& other, const DivAttrs& attrs = {});
/// input ** exponent; d/dx at exponent 0 is 0.
Tensor pow(const Tensor& x, const Tensor& exponent);
/// The larger (smaller) of two; NaN wins; equal ones share the gradient evenly.
Tensor maximum(const Tensor& x, const Tensor& other);
Tensor minimum(const Tensor& x, const Tensor& other);

/// Comparisons give bool; they have no gradient.
Tensor eq(const Tensor& x, const Tensor& other);
Tensor ne(const Tensor& x, const Tensor& other);
Tensor lt(const Tensor& x, const Tensor& other);
Tensor le(const Tensor& x, const Tensor& other);
Tensor gt(const Tensor& x, const Tensor& other);
Tensor ge(const Tensor& x, const Tensor& other);

/// condition ? input : other; all broadcast. `condition` is bool.
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& other);

// With a number on the right.
inline Tensor add(const Tensor& x, const Scalar& v) { return add(x, Tensor::wrapped(v)); }
inline Tensor sub(const Tensor& x, const Scalar& v) { return sub(x, Tensor::wrapped(v)); }
inline Tensor mul(const Tensor& x, const Scalar& v) { return mul(x, Tensor::wrapped(v)); }
inline Tensor div(const Tensor& x, const Scalar& v) { return div(x, Tensor::wrapped(v)); }
inline Tensor pow(const Tensor& x, const Scalar& v) { return pow(x, Tensor::wrapped(v)); }
inline Tensor add_(const Tensor& x, const Scalar& v) { return add_(x, Tensor::wrapped(v)); }
inline Tensor mul_(const Tensor& x, const Scalar& v) { return mul_(x, Tensor::wrapped(v)); }
inline Tensor eq(const Tensor& x, const Scalar& v) { return eq(x, Tensor::wrapped(v)); }
inline Tensor ne(const Tensor& x, const Scalar& v) { return ne(x, Tensor::wrapped(v)); }
inline Tensor lt(const Tensor& x, const Scalar& v) { return lt(x, Tensor::wrapped(v)); }
inline Tensor le(const Tensor& x, const Scalar& v) { return le(x, Tensor::wrapped(v)); }
inline Tensor gt(const Tensor& x, const Scalar& v) { return gt(x, Tensor::wrapped(v)); }
inline Tensor ge(const Tensor& x, const Scalar& v) { return ge(x, Tensor::wrapped(v)); }

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, const Scalar& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Scalar& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Scalar& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Scalar& b) { return div(a, b); }
inline Tensor operator*(const Scalar& a, const Tensor& b) { return mul(b, a); }
inline Tensor operator+(const Scalar& a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(const Scalar& a, const Tensor& b) { return rsub(b, Tensor::wrapped(a)); }
inline Tensor operator/(const Scalar& a, const Tensor& b) { return div(Tensor::wrapped(a), b); }

}  // namespace tapewire
