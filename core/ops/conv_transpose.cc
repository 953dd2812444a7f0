#include "core/ops/conv_transpose.h"

#include <algorithm>

#include "core/ops/arithmetic.h"
#include "core/ops/convolution_support.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

template <int64_t kSpatial>
struct ConvTransposeNd {
  using Attrs = ConvTransposeAttrs;
  static constexpr auto name = kSpatial == 1   ? "conv_transpose1d"
                               : kSpatial == 2 ? "conv_transpose2d"
                                               : "conv_transpose3d";
  static constexpr auto doc = "the transpose of a convolution: [N, C, *] or [C, *] with weight [C, O / groups, *]";
  static constexpr std::array inputs{input("input"), input("weight"), optional_input("bias")};
  static Tensor compose(const Attrs& a, Inputs in) {
    return batched(name, in[0], kSpatial, [&](const Tensor& x) { return transposed(a, x, in[1], in[2]); });
  }

  static Tensor transposed(const Attrs& a, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    const ConvAttrs conv{a.stride, a.padding, a.dilation, a.groups};
    const Shape size = output_sizes(a, x, weight);
    if (bias.defined() && bias.dtype() != x.dtype()) {
      fail(name, ": Input type (", name_of(x.dtype()), ") and bias type (", name_of(bias.dtype()),
           ") should be the same");
    }
    const Tensor out = convolution_backward_input(x, weight, conv, size);
    if (!bias.defined()) return out;
    if (bias.dim() != 1 || bias.size(0) != size[1]) {
      fail(name, ": Given transposed=1, weight of size ", to_string(weight.sizes()),
           ", expected bias to be 1-dimensional with ", size[1], " elements, but got bias of size ",
           to_string(bias.sizes()), " instead");
    }
    Shape by_channel(size.size(), 1);
    by_channel[1] = size[1];
    return add(out, reshape(bias, by_channel));
  }

  static Shape output_sizes(const Attrs& a, const Tensor& x, const Tensor& weight) {
    if (weight.dim() != kSpatial + 2) {
      fail(name, ": expects weight [C, O / groups, *] of ", kSpatial + 2, " dimensions, got ",
           to_string(weight.sizes()));
    }
    const kernels::ConvParams p = params_of(name, {a.stride, a.padding, a.dilation, a.groups}, kSpatial);
    const Shape extra = spread(name, "output_padding", a.output_padding, kSpatial, 0);
    if (p.groups < 1) fail(name, ": non-positive groups is not supported, got ", p.groups);
    if (weight.size(0) != x.size(1)) {
      fail(name, ": Given transposed=1, weight of size ", to_string(weight.sizes()), ", expected input",
           to_string(x.sizes()), " to have ", weight.size(0), " channels, but got ", x.size(1), " channels instead");
    }
    Shape size{x.size(0), 0};
    if (__builtin_mul_overflow(weight.size(1), p.groups, &size[1])) fail(name, ": ", p.groups, " groups overflow");
    for (size_t i = 0; i < kSpatial; ++i) {
      if (extra[i] >= std::max(p.stride[i], p.dilation[i])) {
        fail(name,
             ": output padding must be smaller than either stride or dilation, but got output_padding: ", extra[i],
             " stride: ", p.stride[i], " dilation: ", p.dilation[i]);
      }
      if (x.sizes()[i + 2] < 1 || weight.sizes()[i + 2] < 1) {
        fail(name, ": expects spatial sizes of at least 1, got input ", to_string(x.sizes()), " and weight ",
             to_string(weight.sizes()));
      }
      int64_t span = 0;
      int64_t window = 0;
      int64_t cut = 0;
      int64_t out = 0;
      if (__builtin_mul_overflow(x.sizes()[i + 2] - 1, p.stride[i], &span) ||
          __builtin_mul_overflow(weight.sizes()[i + 2] - 1, p.dilation[i], &window) ||
          __builtin_mul_overflow(p.padding[i], int64_t{2}, &cut) || __builtin_add_overflow(span, window, &out) ||
          __builtin_add_overflow(out, extra[i], &out) || __builtin_add_overflow(out, int64_t{1}, &out)) {
        fail(name, ": the output's size overflows");
      }
      if (out <= cut) {
        fail(name, ": Given input size per channel: ", x.sizes()[i + 2],
             ". Calculated output size per channel: ", out - cut, ". Output size is too small");
      }
      size.push_back(out - cut);
    }
    numel_of(size);
    return size;
  }
};

const OpFamily kFamily{op_def<ConvTransposeNd<1>>(), op_def<ConvTransposeNd<2>>(), op_def<ConvTransposeNd<3>>()};

}  // namespace

Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTransposeAttrs& attrs) {
  return apply<ConvTransposeNd<1>>(attrs, {x, weight, bias});
}
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTransposeAttrs& attrs) {
  return apply<ConvTransposeNd<2>>(attrs, {x, weight, bias});
}
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvTransposeAttrs& attrs) {
  return apply<ConvTransposeNd<3>>(attrs, {x, weight, bias});
}

}  // namespace tapewire
