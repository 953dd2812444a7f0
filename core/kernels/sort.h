#pragma once

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Along one dimension (wrapped), any dtype. NaN counts as the largest number. `indices` (int64) has the shape of
// `values` and tells where the values stood.

/// All of x in ascending or descending order. Equal elements keep theirs when `stable`; else they come as from
/// std::sort, which is PyTorch's way too.
void sort(const Tensor& x, int64_t dim, bool descending, bool stable, const Tensor& values, const Tensor& indices);

/// The first elements of that order, as many as `values` has along `dim`. Which of equal elements they are is decided
/// as in PyTorch, by std::partial_sort or std::nth_element.
void topk(const Tensor& x, int64_t dim, bool largest, const Tensor& values, const Tensor& indices);

}  // namespace tapewire::kernels
