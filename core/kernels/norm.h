#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Batch norm in pieces. x is [N, C, *], statistics are [C], all of one dtype, float32 or float64.

/// Each channel's mean and biased variance over N and space, accumulated in double.
void channel_moments(const Tensor& x, const Tensor& mean, const Tensor& var);

/// 1 / sqrt(var + eps).
void reciprocal_std(const Tensor& var, double eps, const Tensor& out);

/// (x - mean) * rstd * weight + bias by channel; `weight` and `bias` may be undefined.
void batch_norm_forward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& weight,
                        const Tensor& bias, const Tensor& out);

/// The gradients of batch_norm_forward. With `training` mean and rstd are x's own and take part, else they are
/// constants. Undefined outputs are not computed.
void batch_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                         const Tensor& weight, bool training, const Tensor& grad_x, const Tensor& grad_w,
                         const Tensor& grad_b);

}  // namespace tapewire::kernels
