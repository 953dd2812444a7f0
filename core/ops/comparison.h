#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// Comparisons, logic and tests, elementwise. Operands broadcast and promote; the result is bool and has no gradient.

Tensor eq(const Tensor& x, const Tensor& other);
Tensor ne(const Tensor& x, const Tensor& other);
Tensor lt(const Tensor& x, const Tensor& other);
Tensor le(const Tensor& x, const Tensor& other);
Tensor gt(const Tensor& x, const Tensor& other);
Tensor ge(const Tensor& x, const Tensor& other);

/// What is not zero counts as true. The in-place forms are for bool.
Tensor logical_and(const Tensor& x, const Tensor& other);
Tensor logical_or(const Tensor& x, const Tensor& other);
Tensor logical_xor(const Tensor& x, const Tensor& other);
Tensor logical_not(const Tensor& x);

Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);
/// Neither infinite nor NaN.
Tensor isfinite(const Tensor& x);

// With a number on the right.
inline Tensor eq(const Tensor& x, const Scalar& v) { return eq(x, Tensor::wrapped(v)); }
inline Tensor ne(const Tensor& x, const Scalar& v) { return ne(x, Tensor::wrapped(v)); }
inline Tensor lt(const Tensor& x, const Scalar& v) { return lt(x, Tensor::wrapped(v)); }
inline Tensor le(const Tensor& x, const Scalar& v) { return le(x, Tensor::wrapped(v)); }
inline Tensor gt(const Tensor& x, const Scalar& v) { return gt(x, Tensor::wrapped(v)); }
inline Tensor ge(const Tensor& x, const Scalar& v) { return ge(x, Tensor::wrapped(v)); }

}  // namespace tapewire
