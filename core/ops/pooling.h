#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct MaxPoolAttrs {
  Shape kernel_size;
  Shape stride;
  Shape padding{0};
  Shape dilation{1};
  bool ceil_mode = false;
  static constexpr auto fields() {
    return std::tuple{
        required_field("kernel_size", &MaxPoolAttrs::kernel_size, "size of the window"),
        field("stride", &MaxPoolAttrs::stride, "step of the window; none: kernel_size"),
        field("padding", &MaxPoolAttrs::padding, "minus infinity added on both sides; at most half a window"),
        field("dilation", &MaxPoolAttrs::dilation, "distance between the window's elements"),
        field("ceil_mode", &MaxPoolAttrs::ceil_mode, "windows may hang over the end")};
  }
};

/// The largest of each window of x [N, C, *] (or [C, *]).
Tensor max_pool2d(const Tensor& x, const MaxPoolAttrs& attrs);

}  // namespace tapewire
