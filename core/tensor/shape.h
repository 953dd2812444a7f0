#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/container/inlined_vector.h"
#include "core/tensor/dtype.h"

namespace tapewire {

/// Sizes, strides or any short list of integers; up to six without heap.
using Shape = absl::InlinedVector<int64_t, 6>;
using Ints = std::span<const int64_t>;

/// As many dimensions as PyTorch allows a tensor.
inline constexpr int64_t kMaxDims = 64;

/// The product of `sizes`. Throws for a negative size, more than kMaxDims dimensions, or a count whose bytes (at eight
/// an element) overflow.
int64_t numel_of(Ints sizes);
/// Row-major strides, in elements; those of empty and one-long dimensions as PyTorch has them.
Shape contiguous_strides(Ints sizes);
bool is_contiguous(Ints sizes, Ints strides);

/// The shape both broadcast to; `op` is named in the error "The size of tensor a (2) must match ...".
Shape broadcast_shapes(std::string_view op, Ints a, Ints b);

/// -dims <= dim < dims becomes 0 <= dim < dims (dims counts as at least 1); else "Dimension out of range ...".
int64_t wrap_dim(std::string_view op, int64_t dim, int64_t dims);
/// Wraps all, refuses one that appears twice; empty means every dimension.
Shape wrap_dims(std::string_view op, Ints dim_list, int64_t dims);

/// "[2, 3]".
std::string to_string(Ints sizes);

/// A dtype and a shape: what an op promises before it computes.
struct TensorSpec {
  DType dtype = DType::kFloat32;
  Shape shape;
};
/// "float32[2, 3]".
std::string to_string(const TensorSpec& spec);

}  // namespace tapewire
