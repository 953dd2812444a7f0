#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// Gradients of activations with respect to their input: grad times the slope, which follows from one saved tensor
/// `saved` and up to two numbers.
enum class SlopeOp {
  // From the output y.
  kSigmoid,  // y (1 - y)
  kTanh,     // 1 - y^2
  // From the input x.
  kSilu,
  kMish,
  kGelu,
  kGeluTanh,
  kLogsigmoid,
  kHardsigmoid,
  kHardswish,
  kElu,        // x <= 0 ? a exp(x) : b
  kCelu,       // x <= 0 ? exp(x / a) : 1
  kSoftplus,   // a x > b ? 1 : sigmoid(a x)
  kLeakyRelu,  // x > 0 ? 1 : a
  kHardtanh,   // a < x < b ? 1 : 0
  kShrink,     // -a <= x <= a ? 0 : 1
};

/// Hardsigmoid's slope between -3 and 3: PyTorch has 1/6 as a float32 there, whatever the dtype.
inline constexpr double kHardsigmoidSlope = static_cast<double>(1.0F / 6.0F);

/// out = grad * slope(saved, a, b); all of one shape; float32 and float64.
void activation_backward(SlopeOp op, const Tensor& grad, const Tensor& saved, double a, double b, const Tensor& out);

}  // namespace tapewire::kernels
