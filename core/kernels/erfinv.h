#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// The y with erf(y) = x: infinite at -1 and 1, NaN outside of them; float32 and float64. As ATen has it, to some ulp:
/// a rational approximation and two steps of Newton's method.
void erfinv(const Tensor& x, const Tensor& out);

}  // namespace tapewire::kernels
