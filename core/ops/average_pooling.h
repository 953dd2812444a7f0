#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// What avg_pool1d is called with.
struct AvgPool1dAttrs {
  Shape kernel_size;
  std::optional<Shape> stride;
  Shape padding{0};
  bool ceil_mode = false;
  bool count_include_pad = true;
  static constexpr auto fields() {
    return std::tuple{required_field("kernel_size", &AvgPool1dAttrs::kernel_size, "size of the window"),
                      field("stride", &AvgPool1dAttrs::stride, "step of the window; none: kernel_size"),
                      field("padding", &AvgPool1dAttrs::padding, "zeros added on both sides; at most half a window"),
                      field("ceil_mode", &AvgPool1dAttrs::ceil_mode, "windows may hang over the end"),
                      field("count_include_pad", &AvgPool1dAttrs::count_include_pad, "the padding counts in the mean")};
  }
};

/// What avg_pool2d and avg_pool3d are called with.
struct AvgPoolAttrs : AvgPool1dAttrs {
  std::optional<int64_t> divisor_override;
  static constexpr auto fields() {
    return std::tuple{required_field("kernel_size", &AvgPoolAttrs::kernel_size, "size of the window"),
                      field("stride", &AvgPoolAttrs::stride, "step of the window; none: kernel_size"),
                      field("padding", &AvgPoolAttrs::padding, "zeros added on both sides; at most half a window"),
                      field("ceil_mode", &AvgPoolAttrs::ceil_mode, "windows may hang over the end"),
                      field("count_include_pad", &AvgPoolAttrs::count_include_pad, "the padding counts in the mean"),
                      field("divisor_override", &AvgPoolAttrs::divisor_override,
                            "what sums are divided by; none: how many they are of")};
  }
};

/// The mean of each window of x [N, C, *] (or [C, *]) over one, two or three spatial dimensions. float32 and float64;
/// int64 without gradients, dividing towards zero.
Tensor avg_pool1d(const Tensor& x, const AvgPool1dAttrs& attrs);
Tensor avg_pool2d(const Tensor& x, const AvgPoolAttrs& attrs);
Tensor avg_pool3d(const Tensor& x, const AvgPoolAttrs& attrs);

}  // namespace tapewire
