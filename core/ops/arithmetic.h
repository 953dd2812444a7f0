#pragma once

#include <array>
#include <optional>

#include "core/base/fields.h"
#include "core/ops/comparison.h"
#include "core/ops/maximum.h"
#include "core/ops/selection.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Elementwise arithmetic of two operands, which broadcast and promote as PyTorch's do; what goes with it comes along:
/// comparisons, maximum and clamp, where. A Scalar operand is a Python number: it yields in type promotion. `name_` is
/// the in-place form: it changes and returns its first operand.

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
/// x / other; integers become float32, or with a rounding mode stay integers.
Tensor div(const Tensor& x, const Tensor& other, const DivAttrs& attrs = {});
Tensor div_(const Tensor& x, const Tensor& other, const DivAttrs& attrs = {});
/// What a division leaves: rounded down (it has the sign of other), or toward zero (the sign of x). Integers divided by
/// zero throw "ZeroDivisionError".
Tensor remainder(const Tensor& x, const Tensor& other);
Tensor fmod(const Tensor& x, const Tensor& other);
/// x ** exponent; d/dx at exponent 0 is 0. Throws for integers to a negative integer (of no dimensions).
Tensor pow(const Tensor& x, const Tensor& exponent);

// With a number on the right.
inline Tensor add(const Tensor& x, const Scalar& v) { return add(x, Tensor::wrapped(v)); }
inline Tensor sub(const Tensor& x, const Scalar& v) { return sub(x, Tensor::wrapped(v)); }
inline Tensor mul(const Tensor& x, const Scalar& v) { return mul(x, Tensor::wrapped(v)); }
inline Tensor div(const Tensor& x, const Scalar& v) { return div(x, Tensor::wrapped(v)); }
inline Tensor remainder(const Tensor& x, const Scalar& v) { return remainder(x, Tensor::wrapped(v)); }
inline Tensor pow(const Tensor& x, const Scalar& v) { return pow(x, Tensor::wrapped(v)); }
inline Tensor add_(const Tensor& x, const Scalar& v) { return add_(x, Tensor::wrapped(v)); }
inline Tensor mul_(const Tensor& x, const Scalar& v) { return mul_(x, Tensor::wrapped(v)); }

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
