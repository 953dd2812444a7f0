#pragma once

#include <span>
#include <vector>

#include "core/tensor/allocator.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// For each of a tensor's last dimensions, where the elements of a padded one come from: maps[d][i] is the index in the
/// unpadded dimension, the maps' last being that of the last dimension. Dimensions before them are the same on both
/// sides.
using PadMaps = std::span<const CountedVector<int64_t>>;

/// out[.., i, j] = x[.., maps[0][i], maps[1][j]]. Any dtype.
void pad_by_maps(const Tensor& x, PadMaps maps, const Tensor& out);
/// Its gradient: every element of `grad` added to where it came from; grad_x is overwritten. float32 and float64.
void pad_by_maps_backward(const Tensor& grad, PadMaps maps, const Tensor& grad_x);

}  // namespace tapewire::kernels
