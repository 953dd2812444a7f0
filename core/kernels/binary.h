#pragma once

#include "core/base/scalar.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// Functions of two elements, named as in PyTorch. Integer division by zero throws "ZeroDivisionError".
enum class BinaryOp {
  // Any dtype; for bool add is or, mul is and.
  kAdd,
  kSub,
  kMul,
  kMaximum,
  kMinimum,
  // Any numeric dtype (fmax and fmin also bool). Remainder has the divisor's sign, fmod the dividend's. Integers to a
  // negative power are 0, or 1 and -1 for those bases.
  kDivTrunc,
  kDivFloor,
  kPow,
  kRemainder,
  kFmod,
  kFmax,
  kFmin,
  // float32 and float64.
  kDiv,
  kAtan2,
  kHypot,
  kLogaddexp,
  kLogaddexp2,
  kPrelu,  // a > 0 ? a : a * b
  // Any dtype; the result is bool.
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kLogicalAnd,
  kLogicalOr,
  kLogicalXor,
};

/// "add", as PyTorch names it: for messages.
std::string_view name_of(BinaryOp op);

/// out[i] = op(a[i], b[i]), both broadcast to the shape of `out`, which has their dtype, or bool for comparisons and
/// logic.
void binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out);

/// out[i] = x[i] ** exponent; the small whole powers and the square root are exact. float32 and float64.
void power(const Tensor& x, double exponent, const Tensor& out);

/// a + alpha * b, broadcast; one rounding a step, as PyTorch's add(alpha=).
void add_scaled(const Tensor& a, const Tensor& b, const Scalar& alpha, const Tensor& out);

}  // namespace tapewire::kernels
