#pragma once

#include "core/base/scalar.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Progressions in a vector, any numeric dtype; the numbers have to fit it. The bits are ATen's.

/// start + i * step, counted in double for floats and in int64 (wrapping) for integers.
void arange(const Tensor& out, const Scalar& start, const Scalar& step);
/// From start to end: each half is counted from its end. Steps of integers are counted in double.
void linspace(const Tensor& out, const Scalar& start, const Scalar& end);

}  // namespace tapewire::kernels
