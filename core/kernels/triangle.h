#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// Sets what lies above the diagonal of x's matrices (its last two dimensions) to 0, or below it. Diagonal k goes
/// through the elements [i][i + k]. Any dtype.
void clear_above_diagonal(const Tensor& x, int64_t k);
void clear_below_diagonal(const Tensor& x, int64_t k);

}  // namespace tapewire::kernels
