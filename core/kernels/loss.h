#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// float32 and float64.

/// With d = x - target: d^2 / 2 where |d| is below the bend, bend * (|d| - bend / 2) elsewhere; operands broadcast.
void huber(const Tensor& x, const Tensor& target, double bend, const Tensor& out);

/// -(target * log(x) + (1 - target) * log(1 - x)), logarithms no less than -100; x and target broadcast to `out`.
/// Throws "all elements of input should be between 0 and 1".
void binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& out);

/// grad * (x - target) / max((1 - x) * x, 1e-12); operands broadcast to `out`.
void binary_cross_entropy_backward(const Tensor& grad, const Tensor& x, const Tensor& target, const Tensor& out);

/// Of each row of x [N, C]: the sum over its targets t and all other classes i of max(0, 1 - (x[t] - x[i])) / C. The
/// targets of a row are those in target [N, C] (int64) before the first negative one. `out` is [N]. "Target 12 is out
/// of bounds."
void multilabel_margin(const Tensor& x, const Tensor& target, const Tensor& out);
/// Its gradient by x, with grad [N]; grad_x is overwritten.
void multilabel_margin_backward(const Tensor& grad, const Tensor& x, const Tensor& target, const Tensor& grad_x);

}  // namespace tapewire::kernels
