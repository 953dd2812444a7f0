#pragma once

#include <span>
#include <vector>

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Reading and writing at places that tensors of indices give. A place is an offset in elements from a tensor's first;
// the caller works it out once and broadcasts it, as it does the strides of the dimensions that no index replaces.

/// One index tensor (int64, broadcast to the common shape of all) into a dimension; negative ones count from the end.
struct DimensionIndex {
  Tensor index;
  int64_t dim;
  int64_t size;
  int64_t stride;
};

/// out (int64) = the sum over `indices` of index * stride. "index 7 is out of bounds for dimension 0 with size 5".
void index_offsets(std::span<const DimensionIndex> indices, const Tensor& out);

/// out[i] = x's element at x's own place of i plus offsets[i]. All three have one shape; x and `offsets` may repeat
/// elements (stride 0). Any dtype.
void read_at(const Tensor& x, const Tensor& offsets, const Tensor& out);

/// dst's element at dst's own place of i plus offsets[i] becomes values[i], or with `accumulate` has it added. In
/// row-major order: where several go to one place the last stays. `values` broadcasts.
void write_at(const Tensor& dst, const Tensor& offsets, const Tensor& values, bool accumulate);

/// Where `mask` (bool, or uint8) is not 0: for each of its dimensions the indices, in row-major order; a 0-d mask
/// counts as one of one element.
std::vector<Tensor> nonzero(const Tensor& mask);

}  // namespace tapewire::kernels
