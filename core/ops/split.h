#pragma once

#include <vector>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// A tensor cut along a dimension into several views. Those of split, chunk and unbind are views of several that one op
/// gives: as in PyTorch they must not be changed in place under grad mode. At most 65536 pieces.

struct SplitWithSizesAttrs {
  Shape split_sizes;
  int64_t dim = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("split_sizes", &SplitWithSizesAttrs::split_sizes, "the sizes of the pieces"),
                      field("dim", &SplitWithSizesAttrs::dim, "the dimension to cut")};
  }
};
struct ChunkAttrs {
  int64_t chunks = 1;
  int64_t dim = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("chunks", &ChunkAttrs::chunks, "how many; fewer where the size does not suffice"),
                      field("dim", &ChunkAttrs::dim, "the dimension to cut")};
  }
};
struct UnbindAttrs {
  int64_t dim = 0;
  static constexpr auto fields() { return std::tuple{field("dim", &UnbindAttrs::dim, "the dimension that goes")}; }
};

/// Pieces of `split_size`, the last one smaller where it does not divide the dimension.
Tensors split(const Tensor& x, int64_t split_size, int64_t dim = 0);
/// Pieces of the given sizes, whose sum is the dimension's.
Tensors split_with_sizes(const Tensor& x, Ints split_sizes, int64_t dim = 0);
/// At most `chunks` pieces of equal size, but for the last.
Tensors chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
/// `sections` pieces whose sizes differ by one at most; or the pieces between the given indices.
Tensors tensor_split(const Tensor& x, int64_t sections, int64_t dim = 0);
Tensors tensor_split(const Tensor& x, Ints indices, int64_t dim = 0);
/// All slices of a dimension, without it.
Tensors unbind(const Tensor& x, int64_t dim = 0);

}  // namespace tapewire
