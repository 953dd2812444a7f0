#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// Exponentials and logarithms, elementwise, named and defined as in PyTorch. Integers become float32.

Tensor exp(const Tensor& x);
/// 2 ** x.
Tensor exp2(const Tensor& x);
/// exp(x) - 1, exact near 0.
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
/// log(1 + x), exact near 0.
Tensor log1p(const Tensor& x);
/// log(exp(x) + exp(other)) and log2(2 ** x + 2 ** other) without overflow; floats only, broadcast.
Tensor logaddexp(const Tensor& x, const Tensor& other);
Tensor logaddexp2(const Tensor& x, const Tensor& other);

}  // namespace tapewire
