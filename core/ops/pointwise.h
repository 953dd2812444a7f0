#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// Elementwise functions of one tensor, named and defined as in PyTorch. Integers become float32 where the function is
/// not one of integers. `name_` is the in-place form.

Tensor neg(const Tensor& x);
/// |x|; the slope at 0 is 0.
Tensor abs(const Tensor& x);
Tensor sign(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
/// 1 / sqrt(x).
Tensor rsqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);

inline Tensor operator-(const Tensor& x) { return neg(x); }

}  // namespace tapewire
