#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Pooling to a given size: output i of n along a dimension of `size` sees the elements from floor(i size / n) to
// ceil((i + 1) size / n). `rank` (one to three) of the last dimensions are pooled; x is [*, *spatial], out [*,
// *pooled].

/// The mean of each window; float32 and float64.
void adaptive_avg_pool(const Tensor& x, size_t rank, const Tensor& out);
/// Spreads each gradient evenly over its window; grad_x is overwritten.
void adaptive_avg_pool_backward(const Tensor& grad, size_t rank, const Tensor& grad_x);

/// The largest of each window (the first of equal ones, NaN wins) and where it stands in the flattened spatial plane of
/// x (int64). Any numeric dtype.
void adaptive_max_pool(const Tensor& x, size_t rank, const Tensor& out, const Tensor& indices);

}  // namespace tapewire::kernels
