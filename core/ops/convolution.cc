#include "core/ops/convolution.h"

#include "core/base/error.h"
#include "core/kernels/conv.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

// A convolution, its gradient by the input and its gradient by the weight are each linear in two operands, and the
// derivatives of any of the three are the other two: three ops close the circle for every order.

Shape spread(std::string_view op, const char* name, const Shape& given, size_t spatial, int64_t least) {
  if (given.size() != 1 && given.size() != spatial) {
    fail(op, ": ", name, " must be one int or ", spatial, ", got ", to_string(given));
  }
  Shape out = given.size() == 1 ? Shape(spatial, given[0]) : given;
  for (const int64_t v : out) {
    if (v < least) fail(op, ": ", name, " must be at least ", least, ", got ", to_string(given));
  }
  return out;
}

kernels::ConvParams params_of(std::string_view op, const ConvAttrs& a, size_t spatial) {
  return {spread(op, "stride", a.stride, spatial, 1), spread(op, "padding", a.padding, spatial, 0),
          spread(op, "dilation", a.dilation, spatial, 1), a.groups};
}

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
  if (p.groups < 1) fail(op, ": groups must be at least 1, got ", p.groups);
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
      fail(name, ": expected all operands of dtype ", name_of(in[0].dtype), ", got ", name_of(in[i].dtype));
    }
  }
  if (in[2].defined && (in[2].dim() != 1 || in[2].size(0) != in[1].size(0))) {
    fail(name, ": expects bias [", in[1].size(0), "], got ", to_string(in[2].sizes));
  }
  if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
  return {{in[0].dtype, out}};
}

TensorSpecs ConvolutionBackwardInput::infer(const Attrs& a, Specs in) {
  const Shape expected = conv_output_sizes(name, a, a.size, in[1].sizes);
  if (expected != in[0].shape()) {
    fail(name, ": expects grad ", to_string(expected), ", got ", to_string(in[0].sizes));
  }
  return {{in[0].dtype, a.size}};
}

TensorSpecs ConvolutionBackwardWeight::infer(const Attrs& a, Specs in) {
  const Shape expected = conv_output_sizes(name, a, in[1].sizes, a.size);
  if (expected != in[0].shape()) {
    fail(name, ": expects grad ", to_string(expected), ", got ", to_string(in[0].sizes));
  }
  return {{in[0].dtype, a.size}};
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
  if (v.needs(0)) out[0] = apply<Convolution>(a, {g, v.input(1), Tensor()});
  if (v.needs(1)) out[1] = apply<ConvolutionBackwardWeight>(backward_attrs(a, v.sizes(1)), {v.input(0), g});
  return out;
}

Tensors ConvolutionBackwardWeight::vjp(const Attrs& a, const Vjp& v) {
  const Tensor g = v.grad();
  Tensors out(2);
  if (v.needs(0)) out[0] = apply<Convolution>(a, {v.input(1), g, Tensor()});
  if (v.needs(1)) out[1] = apply<ConvolutionBackwardInput>(backward_attrs(a, v.sizes(1)), {v.input(0), g});
  return out;
}

template <int64_t kSpatial>
struct ConvNd {
  using Attrs = ConvAttrs;
  static constexpr auto name = kSpatial == 1 ? "conv1d" : kSpatial == 2 ? "conv2d" : "conv3d";
  static constexpr auto doc = "cross-correlation of [N, C, *] or [C, *] with weight [O, C / groups, *]";
  static constexpr std::array inputs{input("input"), input("weight"), optional_input("bias")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (x.dim() != kSpatial + 1 && x.dim() != kSpatial + 2) {
      fail(name, ": Expected ", kSpatial + 1, "D (unbatched) or ", kSpatial + 2, "D (batched) input to ", name,
           ", but got input of size: ", to_string(x.sizes()));
    }
    if (x.dim() == kSpatial + 2) return apply<Convolution>(a, {x, in[1], in[2]});
    return squeeze(apply<Convolution>(a, {unsqueeze(x, 0), in[1], in[2]}), 0);
  }
};

const OpFamily kFamily{op_def<Convolution>(),
                       op_def<ConvolutionBackwardInput>(),
                       op_def<ConvolutionBackwardWeight>(),
                       op_def<ConvNd<1>>(),
                       op_def<ConvNd<2>>(),
                       op_def<ConvNd<3>>()};

}  // namespace

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvAttrs& attrs) {
  return apply<ConvNd<1>>(attrs, {x, weight, bias});
}
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvAttrs& attrs) {
  return apply<ConvNd<2>>(attrs, {x, weight, bias});
}
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvAttrs& attrs) {
  return apply<ConvNd<3>>(attrs, {x, weight, bias});
}

}  // namespace tapewire
