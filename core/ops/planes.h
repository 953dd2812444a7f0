#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// Picking elements by index out of each spatial plane of [N, C, *], and the gradient of that: what max pooling leaves
/// to its vjp. Each is the other's, so gradients of any order follow. Indices are int64, into a flattened plane.

/// x [N, C, *] at indices [N, C, *]: of indices' sizes.
Tensor gather_planes(const Tensor& x, const Tensor& indices);
/// Zeros of sizes `size` [N, C, *] with each element of x added to where its index says. x and indices are of one
/// shape.
Tensor scatter_planes(const Tensor& x, const Tensor& indices, Ints size);

}  // namespace tapewire
