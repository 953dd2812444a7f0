#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// x[batch,m,n] = u diag(s) vh with k = min(m, n): u [batch,m,k], s [batch,k] falling, vh [batch,k,n]; row-major
/// outputs, float32 and float64. Throws for numbers that are not finite, and for matrices of more than 2^24 elements.
void svd(const Tensor& x, const Tensor& u, const Tensor& s, const Tensor& vh);

}  // namespace tapewire::kernels
