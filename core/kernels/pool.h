#pragma once

#include <optional>

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// A window over one to three spatial dimensions. ceil_mode shows only in the output's shape.
struct PoolParams {
  Shape kernel;
  Shape stride;
  Shape padding;
  Shape dilation;  // of max pooling
};

// x is [N, C, *spatial], out [N, C, *pooled]; `indices` are int64, each into the flattened spatial plane of x. The
// forward passes take any numeric dtype, the rest float32 and float64.

/// The largest of each window (NaN wins) and where it first stands.
void max_pool(const Tensor& x, const PoolParams& params, const Tensor& out, const Tensor& indices);
/// Adds each gradient to where its maximum stood; grad_x is overwritten.
void max_pool_backward(const Tensor& grad, const Tensor& indices, const Tensor& grad_x);
/// out[n,c,i] = x[n,c,indices[n,c,i]] over flattened planes: the transpose of max_pool_backward.
void gather_planes(const Tensor& x, const Tensor& indices, const Tensor& out);

/// The mean of each window. With count_include_pad the padding counts as zeros; `divisor` replaces the count.
void avg_pool(const Tensor& x, const PoolParams& params, bool count_include_pad, std::optional<int64_t> divisor,
              const Tensor& out);
void avg_pool_backward(const Tensor& grad, const PoolParams& params, bool count_include_pad,
                       std::optional<int64_t> divisor, const Tensor& grad_x);

}  // namespace tapewire::kernels
