#pragma once

#include <optional>
#include <vector>

#include "core/base/fields.h"
#include "core/tensor/attributes.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Sizes to pool to; none keeps the input's. A single number serves every spatial dimension.
using PooledSize = std::vector<std::optional<int64_t>>;

template <>
struct AttributeType<PooledSize> {
  static constexpr std::string_view kName = "ints";
  static PooledSize from(const Value& v);
  static Value to(const PooledSize& v);
};

struct AdaptivePoolAttrs {
  PooledSize output_size;
  static constexpr auto fields() {
    return std::tuple{required_field("output_size", &AdaptivePoolAttrs::output_size,
                                     "spatial sizes of the result; none keeps the input's")};
  }
};
struct AdaptiveMaxPoolAttrs : AdaptivePoolAttrs {
  bool return_indices = false;
  static constexpr auto fields() {
    return std::tuple_cat(AdaptivePoolAttrs::fields(),
                          std::tuple{field("return_indices", &AdaptiveMaxPoolAttrs::return_indices,
                                           "also return where each maximum stands")});
  }
};

/// Pooling of x [N, C, *] (or [C, *]) to a given size: output i of n sees the elements from floor(i size / n) to
/// ceil((i + 1) size / n). The mean is of float32 and float64, the maximum of any numbers. return_indices is for calls
/// by name, as in max_pool2d.
Tensor adaptive_avg_pool1d(const Tensor& x, const PooledSize& output_size);
Tensor adaptive_avg_pool2d(const Tensor& x, const PooledSize& output_size);
Tensor adaptive_avg_pool3d(const Tensor& x, const PooledSize& output_size);
Tensor adaptive_max_pool1d(const Tensor& x, const PooledSize& output_size);
Tensor adaptive_max_pool2d(const Tensor& x, const PooledSize& output_size);
Tensor adaptive_max_pool3d(const Tensor& x, const PooledSize& output_size);
/// Result and indices, over `spatial` dimensions.
Tensors adaptive_max_pool_with_indices(const Tensor& x, size_t spatial, const PooledSize& output_size);

}  // namespace tapewire
