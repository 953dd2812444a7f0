#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Recurrences along one dimension `dim` (wrapped). `out` has x's shape and may be x itself. Floats accumulate in
// double.

/// Running sum and product; bool and integers to themselves or to int64. With `reverse` the sum runs from the end.
void cumsum(const Tensor& x, int64_t dim, const Tensor& out, bool reverse = false);
void cumprod(const Tensor& x, int64_t dim, const Tensor& out);

/// out[i] = b[i] + a[i] * out[i - 1], or with `reverse` out[i] = b[i] + a[i + 1] * out[i + 1]; beyond the ends stand
/// zeros. float32 and float64.
void linear_recurrence(const Tensor& a, const Tensor& b, int64_t dim, bool reverse, const Tensor& out);

}  // namespace tapewire::kernels
