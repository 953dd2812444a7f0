#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct ConvTransposeAttrs {
  Shape stride{1};
  Shape padding{0};
  Shape output_padding{0};
  int64_t groups = 1;
  Shape dilation{1};
  static constexpr auto fields() {
    return std::tuple{
        field("stride", &ConvTransposeAttrs::stride, "distance between the windows that are added up"),
        field("padding", &ConvTransposeAttrs::padding, "elements cut from both sides of the result"),
        field("output_padding", &ConvTransposeAttrs::output_padding, "elements added to the end of the result"),
        field("groups", &ConvTransposeAttrs::groups, "channels are split into so many independent groups"),
        field("dilation", &ConvTransposeAttrs::dilation, "distance between a window's elements")};
  }
};

/// The transposed convolution (the gradient of a convolution by its input): x [N, C, *] (or [C, *]), weight
/// [C, O / groups, *], bias [O] (may be undefined). Each spatial size becomes
/// (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1.
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeAttrs& attrs = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeAttrs& attrs = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeAttrs& attrs = {});

}  // namespace tapewire
