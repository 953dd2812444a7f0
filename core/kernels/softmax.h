#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// float32 and float64, all tensors of one shape; `dim` is wrapped.

/// exp(x - max) / sum(exp(x - max)) along `dim`.
void softmax(const Tensor& x, int64_t dim, const Tensor& out);
/// x - max - log(sum(exp(x - max))) along `dim`.
void log_softmax(const Tensor& x, int64_t dim, const Tensor& out);

/// y * (grad - sum(grad * y)), y being softmax's output.
void softmax_backward(const Tensor& grad, const Tensor& y, int64_t dim, const Tensor& out);
/// grad - exp(y) * sum(grad), y being log_softmax's output.
void log_softmax_backward(const Tensor& grad, const Tensor& y, int64_t dim, const Tensor& out);

}  // namespace tapewire::kernels
