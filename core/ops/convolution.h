#pragma once

#include <string>

#include "core/base/fields.h"
#include "core/tensor/attributes.h"
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

/// Zeros added on both sides of each spatial dimension: a number for all, one for each, or a rule: "valid" (none) or
/// "same" (as many as keep the size; the odd one goes to the end).
struct ConvPadding {
  Shape sizes{0};
  std::string rule;  // "" when sizes say it

  ConvPadding() = default;
  ConvPadding(int64_t size) : sizes{size} {}
  ConvPadding(Shape all) : sizes(std::move(all)) {}
  ConvPadding(const char* name) : rule(name) {}
};

template <>
struct AttributeType<ConvPadding> {
  static constexpr std::string_view kName = "ints or string";
  static ConvPadding from(const Value& v);
  static Value to(const ConvPadding& v) { return v.rule.empty() ? AttributeType<Shape>::to(v.sizes) : Value(v.rule); }
};

/// What conv1d, conv2d and conv3d are called with.
struct ConvNdAttrs {
  Shape stride{1};
  ConvPadding padding;
  Shape dilation{1};
  int64_t groups = 1;
  static constexpr auto fields() {
    return std::tuple{field("stride", &ConvNdAttrs::stride, "step of the window"),
                      field("padding", &ConvNdAttrs::padding, "zeros added on both sides, or 'valid' or 'same'"),
                      field("dilation", &ConvNdAttrs::dilation, "distance between the window's elements"),
                      field("groups", &ConvNdAttrs::groups, "channels are split into so many independent groups")};
  }
};

/// Cross-correlation of x [N, C, *] (or [C, *]) with weight [O, C / groups, *], plus bias [O] (may be undefined), over
/// one, two or three spatial dimensions. float32, float64, and int64 (without gradients).
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvAttrs& attrs = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvAttrs& attrs = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, const ConvAttrs& attrs = {});
/// The one of them for `spatial` dimensions, its padding given by sizes or by a rule.
Tensor conv_nd(size_t spatial, const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvNdAttrs& attrs);

}  // namespace tapewire
