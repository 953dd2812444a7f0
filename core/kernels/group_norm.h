#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Layer, group and rms norm in pieces. x is [batch, groups, channels, plane]: each [channels, plane] of it is
// normalised by its own statistics [batch, groups], then scaled and moved by weight and bias [groups, channels], which
// may be undefined. All of one dtype, float32 or float64.

/// The mean of each group and 1 / sqrt(variance + eps), the variance being the biased one, accumulated in double.
/// Without `centred` the mean is 0 and the variance the mean square.
void group_moments(const Tensor& x, bool centred, double eps, const Tensor& mean, const Tensor& rstd);

/// (x - mean) * rstd * weight + bias.
void group_norm_forward(const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& weight,
                        const Tensor& bias, const Tensor& out);

/// The gradients of group_norm_forward of group_moments. Undefined outputs are not computed.
void group_norm_backward(const Tensor& grad, const Tensor& x, bool centred, const Tensor& mean, const Tensor& rstd,
                         const Tensor& weight, const Tensor& grad_x, const Tensor& grad_w, const Tensor& grad_b);

}  // namespace tapewire::kernels
