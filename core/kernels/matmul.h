#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Operands may be transposed views; one that has no unit stride is copied. Any numeric dtype; float32 and float64 are
// fast. `out` must not overlap an operand.

/// out[m,n] = a[m,k] b[k,n] + beta * out. With beta 0 `out` is only written.
void gemm(const Tensor& a, const Tensor& b, const Tensor& out, double beta = 0);

/// The same for each of a[batch,m,k], b[batch,k,n], out[batch,m,n]. A batch stride may be 0.
void bmm(const Tensor& a, const Tensor& b, const Tensor& out, double beta = 0);

/// out[rows,n] = x[rows,k] w[n,k]^T + bias[n]; `bias` may be undefined.
void linear(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& out);

}  // namespace tapewire::kernels
