#pragma once

#include "core/base/scalar.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// What holds for every kernel of this room: inputs may have any strides and offset, no elements, or no dimensions;
// outputs are allocated by the caller with the shape stated, may be strided, and may be the same tensor as an input
// only where the kernel is elementwise. Inputs of one call share a dtype unless said otherwise. Shapes are the caller's
// to validate. Work is cut by size alone: the bits of a result do not depend on compute_threads().

/// Broadcasts `src` to the shape of `dst` and converts its dtype as PyTorch's copy_ does (floats truncate to integers,
/// anything but zero is true).
void copy(const Tensor& src, const Tensor& dst);

/// Sets every element; the number converts as in PyTorch's fill_.
void fill(const Tensor& dst, const Scalar& value);

/// The same tensor when it is row-major, else a row-major copy.
Tensor contiguous(const Tensor& x);

}  // namespace tapewire::kernels
