#pragma once

#include "core/ops/exponential.h"
#include "core/ops/trigonometric.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Elementwise functions of one tensor, named and defined as in PyTorch; exponential.h, trigonometric.h, special.h and
/// rounding.h have more. Integers become float32 where the function is not one of integers. `name_` is the in-place
/// form.

/// -x; refuses bool.
Tensor neg(const Tensor& x);
/// x itself; refuses bool.
Tensor positive(const Tensor& x);
/// |x|; the slope at 0 is 0. Refuses bool.
Tensor abs(const Tensor& x);
/// -1, 0 or 1; 0 for NaN. Its gradient is zero.
Tensor sign(const Tensor& x);
Tensor sqrt(const Tensor& x);
/// 1 / sqrt(x).
Tensor rsqrt(const Tensor& x);
/// x * x; bool becomes int64.
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);

inline Tensor operator-(const Tensor& x) { return neg(x); }

}  // namespace tapewire
