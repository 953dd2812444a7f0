#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct MaxPoolAttrs {
  Shape kernel_size;
  std::optional<Shape> stride;
  Shape padding{0};
  Shape dilation{1};
  bool ceil_mode = false;
  bool return_indices = false;
  static constexpr auto fields() {
    return std::tuple{
        required_field("kernel_size", &MaxPoolAttrs::kernel_size, "size of the window"),
        field("stride", &MaxPoolAttrs::stride, "step of the window; none: kernel_size"),
        field("padding", &MaxPoolAttrs::padding, "minus infinity added on both sides; at most half a window"),
        field("dilation", &MaxPoolAttrs::dilation, "distance between the window's elements"),
        field("ceil_mode", &MaxPoolAttrs::ceil_mode, "windows may hang over the end"),
        field("return_indices", &MaxPoolAttrs::return_indices, "also return where each maximum stands")};
  }
};

/// The largest of each window of x [N, C, *] (or [C, *]) over one, two or three spatial dimensions. return_indices is
/// for calls by name: there a second result, int64, says where in the flattened spatial plane each maximum stands.
Tensor max_pool1d(const Tensor& x, const MaxPoolAttrs& attrs);
Tensor max_pool2d(const Tensor& x, const MaxPoolAttrs& attrs);
Tensor max_pool3d(const Tensor& x, const MaxPoolAttrs& attrs);
/// Result and indices, over `spatial` dimensions.
Tensors max_pool_with_indices(const Tensor& x, size_t spatial, MaxPoolAttrs attrs);

}  // namespace tapewire
