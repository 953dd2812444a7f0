#pragma once

#include "core/base/scalar.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// Functions of one element, named as in PyTorch. kRound rounds halves to even; kGelu is the exact (erf) one.
enum class UnaryOp {
  // Any numeric dtype, sign also bool; floor, ceil, round and trunc of integers are the integers themselves.
  kNeg,
  kAbs,
  kSign,
  kSquare,
  kRelu,
  kRelu6,
  kFloor,
  kCeil,
  kRound,
  kTrunc,
  // float32 and float64.
  kFrac,
  kExp,
  kExp2,
  kExpm1,
  kLog,
  kLog2,
  kLog10,
  kLog1p,
  kSqrt,
  kRsqrt,
  kReciprocal,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kTanh,
  kAsinh,
  kAcosh,
  kAtanh,
  kSigmoid,
  kErf,
  kErfc,
  kLgamma,
  kDigamma,
  kSelu,
  kSilu,
  kMish,
  kSoftsign,
  kHardsigmoid,
  kHardswish,
  kLogsigmoid,
  kTanhshrink,
  kGelu,
  kGeluTanh,
  // Any dtype; the result is bool.
  kIsnan,
  kIsinf,
  kIsfinite,
  kLogicalNot,
};

/// out[i] = op(x[i]); `out` has x's shape and x's dtype, or bool for the tests.
void unary(UnaryOp op, const Tensor& x, const Tensor& out);

/// Functions of one element with up to two numbers a and b.
enum class UnaryAttrOp {
  kLeakyRelu,   // x > 0 ? x : a x
  kElu,         // x > 0 ? x : a expm1(x)
  kCelu,        // x > 0 ? x : a expm1(x / a)
  kSoftplus,    // a x > b ? x : log1p(exp(a x)) / a
  kSoftshrink,  // x > a ? x - a : x < -a ? x + a : 0
  kHardshrink,  // -a <= x <= a ? 0 : x
};

/// out[i] = op(x[i], a, b) for float32 and float64.
void unary_attr(UnaryAttrOp op, const Tensor& x, double a, double b, const Tensor& out);

/// x > threshold ? x : value, for any numeric dtype; NaN stays. REQUIRES: both numbers convert to the dtype.
void threshold(const Tensor& x, const Scalar& threshold, const Scalar& value, const Tensor& out);

/// The nearest multiple of 10^-decimals, halves to even; float32 and float64.
void round(const Tensor& x, int64_t decimals, const Tensor& out);

/// The polygamma function: the n-th derivative of digamma. REQUIRES: n >= 0. float32 and float64.
void polygamma(int64_t n, const Tensor& x, const Tensor& out);

/// NaN becomes `nan`, the infinities `posinf` and `neginf`; integers are copied.
void nan_to_num(const Tensor& x, double nan, double posinf, double neginf, const Tensor& out);

}  // namespace tapewire::kernels
