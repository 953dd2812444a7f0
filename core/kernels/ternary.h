#pragma once

#include <optional>

#include "core/base/scalar.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// cond ? a : b, all broadcast to the shape of `out`. `cond` is bool.
void where(const Tensor& cond, const Tensor& a, const Tensor& b, const Tensor& out);

/// x + value * a * b, broadcast.
void addcmul(const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value, const Tensor& out);
/// x + value * a / b, broadcast; float32 and float64.
void addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value, const Tensor& out);

/// a + weight * (b - a), taken from the nearer end as ATen does; float32 and float64.
void lerp(const Tensor& a, const Tensor& b, const Tensor& weight, const Tensor& out);
void lerp(const Tensor& a, const Tensor& b, double weight, const Tensor& out);

/// min(max(x, low), high) with either left out; NaN stays. With low > high everything becomes high.
void clamp(const Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high, const Tensor& out);

/// x > threshold ? grad : 0, the gradient of relu (and threshold) from its input or its output.
void threshold_backward(const Tensor& grad, const Tensor& x, const Scalar& threshold, const Tensor& out);

}  // namespace tapewire::kernels
