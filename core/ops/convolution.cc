#include "core/ops/convolution.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/convolution_support.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

// A convolution, its gradient by the input and its gradient by the weight are each linear in two operands, and the
// derivatives of any of the three are the other two: three ops close the set for every order.

struct Convolution {
  using Attrs = ConvAttrs;
  static constexpr auto name = "convolution";
  static constexpr auto doc =
      "cross-correlation of [N, C, *] with [O, C / groups, *] over one to three spatial dimensions";
  static constexpr std::array inputs{input("input"), input("weight"), optional_input("bias")};
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs& a, Specs in);
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::conv_forward(in[0], in[1], in[2], params_of(name, a, in[0].sizes().size() - 2), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};

struct ConvBackwardAttrs : ConvAttrs {
  Shape size;
  static constexpr auto fields() {
    return std::tuple{field("size", &ConvBackwardAttrs::size, "sizes of the result"),
                      field("stride", &ConvBackwardAttrs::stride, "of the convolution"),
                      field("padding", &ConvBackwardAttrs::padding, "of the convolution"),
                      field("dilation", &ConvBackwardAttrs::dilation, "of the convolution"),
                      field("groups", &ConvBackwardAttrs::groups, "of the convolution")};
  }
};

struct ConvolutionBackwardInput {
  using Attrs = ConvBackwardAttrs;
  static constexpr auto name = "convolution_backward_input";
  static constexpr auto doc = "the gradient of a convolution by its input, which has sizes size";
  static constexpr std::array inputs{input("grad"), input("weight")};
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs& a, Specs in);
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::conv_backward_input(in[0], in[1], params_of(name, a, a.size.size() - 2), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};

struct ConvolutionBackwardWeight {
  using Attrs = ConvBackwardAttrs;
  static constexpr auto name = "convolution_backward_weight";
  static constexpr auto doc = "the gradient of a convolution by its weight, which has sizes size";
  static constexpr std::array inputs{input("grad"), input("input")};
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs& a, Specs in);
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::conv_backward_weight(in[0], in[1], params_of(name, a, a.size.size() - 2), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};

// The sizes of the convolution's output, all else checked.
Shape conv_output_sizes(std::string_view op, const ConvAttrs& a, Ints x, Ints w) {
  if (x.size() < 3 || x.size() > 5 || w.size() != x.size()) {
    fail(op, ": expects input [N, C, *] and weight [O, C / groups, *] with one to three spatial dimensions, got ",
         to_string(x), " and ", to_string(w));
  }
  const size_t spatial = x.size() - 2;
  const kernels::ConvParams p = params_of(op, a, spatial);
  if (p.groups < 1) fail(op, ": non-positive groups is not supported, got ", p.groups);
  int64_t channels = 0;
  if (__builtin_mul_overflow(w[1], p.groups, &channels) || x[1] != channels) {
    fail(op, ": Given groups=", p.groups, ", weight of size ", to_string(w), ", expected input", to_string(x),
         " to have ", channels, " channels, but got ", x[1], " channels instead");
  }
  if (w[0] % p.groups != 0) {
    fail(op, ": ", w[0], " output channels cannot be split into ", p.groups, " groups");
  }
  Shape out{x[0], w[0]};
  for (size_t i = 0; i < spatial; ++i) {
    int64_t window = 0;
    int64_t padded = 0;
    if (w[i + 2] < 1 || __builtin_mul_overflow(p.dilation[i], w[i + 2] - 1, &window) ||
        __builtin_add_overflow(window, int64_t{1}, &window) ||
        __builtin_mul_overflow(p.padding[i], int64_t{2}, &padded) ||
        __builtin_add_overflow(padded, x[i + 2], &padded)) {
      fail(op, ": kernel size ", w[i + 2], ", dilation ", p.dilation[i], " and padding ", p.padding[i],
           " make no window");
    }
    if (padded < window) {
      fail(op, ": Calculated padded input size per channel: ", padded, " at dimension ", i, ". Kernel size: ", window,
           ". Kernel size can't be greater than actual input size");
    }
    out.push_back((padded - window) / p.stride[i] + 1);
  }
  return out;
}

TensorSpecs Convolution::infer(const Attrs& a, Specs in) {
  const Shape out = conv_output_sizes(name, a, in[0].sizes, in[1].sizes);
  for (size_t i = 1; i < 3; ++i) {
    if (in[i].defined && in[i].dtype != in[0].dtype) {
      fail(name, ": Input type (", name_of(in[0].dtype), ") and ", inputs[i].name, " type (", name_of(in[i].dtype),
           ") should be the same");
    }
  }
  if (in[2].defined && (in[2].dim() != 1 || in[2].size(0) != in[1].size(0))) {
    fail(name, ": expects bias [", in[1].size(0), "], got ", to_string(in[2].sizes));
  }
  if (!is_floating(in[0].dtype) && in[0].dtype != DType::kInt64) {
    fail(name, ": expects float32, float64 or int64, got ", name_of(in[0].dtype));
  }
  return {{in[0].dtype, out}};
}

// The gradient may end before the convolution's output does: a transposed convolution with much output padding.
void check_grad(std::string_view op, const Shape& output, const Spec& grad, const Spec& other) {
  bool fits = grad.sizes.size() == output.size();
  for (size_t i = 0; fits && i < output.size(); ++i) {
    fits = i < 2 ? grad.size(i) == output[i] : grad.size(i) <= output[i];
  }
  if (!fits) fail(op, ": expects grad ", to_string(output), ", got ", to_string(grad.sizes));
  if (grad.dtype != other.dtype) {
    fail(op, ": Input type (", name_of(grad.dtype), ") and weight type (", name_of(other.dtype),
         ") should be the same");
  }
}

TensorSpecs ConvolutionBackwardInput::infer(const Attrs& a, Specs in) {
  numel_of(a.size);
  check_grad(name, conv_output_sizes(name, a, a.size, in[1].sizes), in[0], in[1]);
  if (!is_floating(in[0].dtype) && in[0].dtype != DType::kInt64) {
    fail(name, ": expects float32, float64 or int64, got ", name_of(in[0].dtype));
  }
  return {{in[0].dtype, a.size}};
}

TensorSpecs ConvolutionBackwardWeight::infer(const Attrs& a, Specs in) {
  numel_of(a.size);
  check_grad(name, conv_output_sizes(name, a, in[1].sizes, a.size), in[0], in[1]);
  if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
  return {{in[0].dtype, a.size}};
}

// The part of `size` that begins at `first` of each spatial dimension.
Tensor cropped(const Tensor& x, Ints size, int64_t (*first)(int64_t have, int64_t want)) {
  if (std::ranges::equal(x.sizes(), size)) return x;
  const Tensor plain = contiguous(x);
  AsStridedAttrs part{Shape(size.begin(), size.end()), plain.strides(), 0};
  for (size_t i = 0; i < size.size() && plain.numel() > 0; ++i) {
    part.storage_offset += first(plain.sizes()[i], size[i]) * plain.strides()[i];
  }
  return as_strided(plain, part);
}
Tensor without_end(const Tensor& x, Ints size) {
  return cropped(x, size, [](int64_t, int64_t) { return int64_t{0}; });
}
Tensor without_start(const Tensor& x, Ints size) {
  return cropped(x, size, [](int64_t have, int64_t want) { return have - want; });
}

ConvBackwardAttrs backward_attrs(const ConvAttrs& a, const Shape& size) {
  ConvBackwardAttrs out;
  static_cast<ConvAttrs&>(out) = a;
  out.size = size;
  return out;
}

Tensors Convolution::vjp(const Attrs& a, const Vjp& v) {
  const Tensor g = v.grad();
  Tensors out(3);
  if (v.needs(0)) out[0] = apply<ConvolutionBackwardInput>(backward_attrs(a, v.sizes(0)), {g, v.input(1)});
  if (v.needs(1)) out[1] = apply<ConvolutionBackwardWeight>(backward_attrs(a, v.sizes(1)), {g, v.input(0)});
  if (v.needs(2)) {
    Shape dims{0};
    for (int64_t d = 2; d < g.dim(); ++d) dims.push_back(d);
    out[2] = sum(g, {.dim = dims});
  }
  return out;
}

Tensors ConvolutionBackwardInput::vjp(const Attrs& a, const Vjp& v) {
  const Tensor g = v.grad();
  Tensors out(2);
  if (v.needs(0)) out[0] = without_end(apply<Convolution>(a, {g, v.input(1), Tensor()}), v.sizes(0));
  if (v.needs(1)) out[1] = apply<ConvolutionBackwardWeight>(backward_attrs(a, v.sizes(1)), {v.input(0), g});
  return out;
}

Tensors ConvolutionBackwardWeight::vjp(const Attrs& a, const Vjp& v) {
  const Tensor g = v.grad();
  Tensors out(2);
  if (v.needs(0)) out[0] = without_end(apply<Convolution>(a, {v.input(1), g, Tensor()}), v.sizes(0));
  if (v.needs(1)) out[1] = apply<ConvolutionBackwardInput>(backward_attrs(a, v.sizes(1)), {v.input(0), g});
  return out;
}

template <int64_t kSpatial>
struct ConvNd {
  using Attrs = ConvNdAttrs;
  static constexpr auto name = kSpatial == 1 ? "conv1d" : kSpatial == 2 ? "conv2d" : "conv3d";
  static constexpr auto doc = "cross-correlation of [N, C, *] or [C, *] with weight [O, C / groups, *]";
  static constexpr std::array inputs{input("input"), input("weight"), optional_input("bias")};
  static Tensor compose(const Attrs& a, Inputs in) {
    return batched(name, in[0], kSpatial, [&](const Tensor& x) { return convolved(a, x, in[1], in[2]); });
  }

  static Tensor convolved(const Attrs& a, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    ConvAttrs plain{a.stride, a.padding.sizes, a.dilation, a.groups};
    if (a.padding.rule.empty()) return apply<Convolution>(plain, {x, weight, bias});
    plain.padding = Shape(kSpatial, 0);
    if (a.padding.rule == "valid") return apply<Convolution>(plain, {x, weight, bias});
    if (!std::ranges::all_of(a.stride, [](int64_t s) { return s == 1; })) {
      fail(name, ": padding='same' is not supported for strided convolutions");
    }
    if (weight.dim() != kSpatial + 2) {
      fail(name, ": expects weight [O, C / groups, *] of ", kSpatial + 2, " dimensions, got ",
           to_string(weight.sizes()));
    }
    // An odd total is rounded up on both sides; the window that starts in the extra zero is dropped again.
    const Shape dilation = spread(name, "dilation", a.dilation, kSpatial, 1);
    Shape size{x.size(0), weight.size(0)};
    for (size_t i = 0; i < kSpatial; ++i) {
      int64_t total = 0;
      if (__builtin_mul_overflow(dilation[i], weight.sizes()[i + 2] - 1, &total)) {
        fail(name, ": kernel size ", weight.sizes()[i + 2], " and dilation ", dilation[i], " overflow");
      }
      plain.padding[i] = std::max<int64_t>(total / 2 + total % 2, 0);
      size.push_back(x.sizes()[i + 2]);
    }
    return without_start(apply<Convolution>(plain, {x, weight, bias}), size);
  }
};

const OpFamily kFamily{op_def<Convolution>(),
                       op_def<ConvolutionBackwardInput>(),
                       op_def<ConvolutionBackwardWeight>(),
                       op_def<ConvNd<1>>(),
                       op_def<ConvNd<2>>(),
                       op_def<ConvNd<3>>()};

template <int64_t kSpatial>
Tensor conv(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvAttrs& a) {
  return apply<ConvNd<kSpatial>>({a.stride, a.padding, a.dilation, a.groups}, {x, weight, bias});
}

}  // namespace

ConvPadding AttributeType<ConvPadding>::from(const Value& v) {
  ConvPadding out;
  if (v.is_string()) {
    out.rule = v.string();
    if (out.rule != "same" && out.rule != "valid") {
      fail("Invalid padding string ", quoted(out.rule), ", should be one of 'valid', 'same'");
    }
  } else {
    out.sizes = AttributeType<Shape>::from(v);
  }
  return out;
}

Tensor convolution_backward_input(const Tensor& grad, const Tensor& weight, const ConvAttrs& attrs, Ints size) {
  return apply<ConvolutionBackwardInput>(backward_attrs(attrs, Shape(size.begin(), size.end())), {grad, weight});
}

Tensor conv_nd(size_t spatial, const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvNdAttrs& attrs) {
  return spatial == 1   ? apply<ConvNd<1>>(attrs, {x, weight, bias})
         : spatial == 2 ? apply<ConvNd<2>>(attrs, {x, weight, bias})
                        : apply<ConvNd<3>>(attrs, {x, weight, bias});
}
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvAttrs& attrs) {
  return conv<1>(x, weight, bias, attrs);
}
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvAttrs& attrs) {
  return conv<2>(x, weight, bias, attrs);
}
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvAttrs& attrs) {
  return conv<3>(x, weight, bias, attrs);
}

}  // namespace tapewire
