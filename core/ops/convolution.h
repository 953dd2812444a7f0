#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// How a convolution slides. A single number serves every spatial dimension.
struct ConvAttrs {
  Shape stride{1};
  Shape padding{0};
  Shape dilation{1};
  int64_t groups = 1;
  static constexpr auto fields() {
    return std::tuple{field("stride", &ConvAttrs::stride, "step of the window"),
                      field("padding", &ConvAttrs::padding, "zeros added on both sides"),
                      field("dilation", &ConvAttrs::dilation, "distance between the window's elements"),
                      field("groups", &ConvAttrs::groups, "channels are split into so many independent groups")};
  }
};

/// Cross-correlation of x [N, C, *] (or [C, *]) with weight [O, C / groups, *], plus bias [O] (may be undefined), over
/// one, two or three spatial dimensions.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvAttrs& attrs = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvAttrs& attrs = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvAttrs& attrs = {});

}  // namespace tapewire
