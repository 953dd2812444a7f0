#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// How a convolution slides; one number for each of its one to three spatial dimensions.
struct ConvParams {
  Shape stride;
  Shape padding;
  Shape dilation;
  int64_t groups = 1;
};

// float32 and float64, without the gradient for w int64 too. x is [N, C, *], w is [O, C / groups, *], the output and
// its gradient [N, O, *].

/// Cross-correlation, as PyTorch's conv1d/2d/3d. `bias` [O] may be undefined.
void conv_forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvParams& params, const Tensor& out);

/// The gradient for x, also what conv_transpose computes (its output padding lies in grad_x's shape).
void conv_backward_input(const Tensor& grad, const Tensor& w, const ConvParams& params, const Tensor& grad_x);

/// The gradient for w.
void conv_backward_weight(const Tensor& grad, const Tensor& x, const ConvParams& params, const Tensor& grad_w);

/// The gradient for the bias: the sum of grad [N, O, *] over all but the channel.
void conv_backward_bias(const Tensor& grad, const Tensor& grad_b);

}  // namespace tapewire::kernels
