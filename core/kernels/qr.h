#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// q of x = q r for x[m,n] with m >= n, where q[m,n] has orthonormal columns and r is upper triangular with a diagonal
/// that is not negative: of linearly independent columns there is one such q. A column that depends on those before it
/// has either sign, or is zero. Row-major output, float32 and float64.
void orthonormal_columns(const Tensor& x, const Tensor& q);

}  // namespace tapewire::kernels
