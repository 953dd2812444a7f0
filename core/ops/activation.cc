#include "core/ops/activation.h"

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/kernels/binary.h"
#include "core/kernels/random.h"
#include "core/kernels/softmax.h"
#include "core/kernels/ternary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::UnaryOp;

// grad where y > 0: linear in grad, so its own gradient is itself.
struct ReluBackward {
  using Attrs = NoAttrs;
  static constexpr auto name = "relu_backward";
  static constexpr auto doc = "grad where output is positive, else 0";
  static constexpr std::array inputs{input("grad"), input("output")};
  static constexpr std::array saves{save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[0].dtype != in[1].dtype || in[0].shape() != in[1].shape()) {
      fail("relu_backward: expects grad and output alike, got ", to_string(in[0]), " and ", to_string(in[1]));
    }
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::threshold_backward(in[0], in[1], 0.0, out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return {v.needs(0) ? apply<ReluBackward>({}, {v.grad(), v.input(1)}) : Tensor(), Tensor()};
  }
};

struct Relu : NumericUnary<UnaryOp::kRelu> {
  static constexpr auto name = "relu";
  static constexpr auto doc = "max(input, 0); the slope at 0 is 0";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {apply<ReluBackward>({}, {v.grad(), v.output(0)})}; }
};

struct Sigmoid : FloatUnary<UnaryOp::kSigmoid> {
  static constexpr auto name = "sigmoid";
  static constexpr auto doc = "1 / (1 + exp(-input))";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor y = v.output(0);
    return {mul(v.grad(), mul(y, 1.0 - y))};
  }
};

struct Tanh : FloatUnary<UnaryOp::kTanh> {
  static constexpr auto name = "tanh";
  static constexpr auto doc = "hyperbolic tangent";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), 1.0 - square(v.output(0)))}; }
};

TensorSpecs softmax_specs(std::string_view op, const SoftmaxAttrs& a, Specs in) {
  wrap_dim(op, a.dim, in[0].dim());
  if (!is_floating(in[0].dtype)) fail(op, ": expects float32 or float64, got ", name_of(in[0].dtype));
  return {{in[0].dtype, in[0].shape()}};
}

int64_t softmax_dim(const SoftmaxAttrs& a, const Tensor& x) { return wrap_dim("softmax", a.dim, x.dim()); }

struct Softmax {
  using Attrs = SoftmaxAttrs;
  static constexpr auto name = "softmax";
  static constexpr auto doc = "exp(input) / sum(exp(input)) along dim";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array saves{save_output(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) { return softmax_specs(name, a, in); }
  static void eval(const Attrs& a, Inputs in, Outputs out) { kernels::softmax(in[0], softmax_dim(a, in[0]), out[0]); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor y = v.output(0);
    if (!grad_enabled()) {
      Tensor out = Tensor::empty(y.sizes(), y.dtype());
      kernels::softmax_backward(g, y, softmax_dim(a, y), out);
      return {out};
    }
    const Tensor gy = mul(g, y);
    return {sub(gy, mul(y, sum(gy, {.dim = Shape{a.dim}, .keepdim = true})))};
  }
};

struct LogSoftmax {
  using Attrs = SoftmaxAttrs;
  static constexpr auto name = "log_softmax";
  static constexpr auto doc = "input - log(sum(exp(input))) along dim";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array saves{save_output(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) { return softmax_specs(name, a, in); }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::log_softmax(in[0], softmax_dim(a, in[0]), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor y = v.output(0);
    if (!grad_enabled()) {
      Tensor out = Tensor::empty(y.sizes(), y.dtype());
      kernels::log_softmax_backward(g, y, softmax_dim(a, y), out);
      return {out};
    }
    return {sub(g, mul(exp(y), sum(g, {.dim = Shape{a.dim}, .keepdim = true})))};
  }
};

void check_probability(std::string_view op, double p) {
  if (!(p >= 0 && p <= 1)) fail(op, ": dropout probability has to be between 0 and 1, but got ", p);
}

// The random part of dropout, in training: out = input * mask, mask being 0 or 1 / (1 - p).
template <bool kChannels>
struct NativeDropout {
  using Attrs = DropoutAttrs;
  static constexpr auto name = kChannels ? "native_dropout2d" : "native_dropout";
  static constexpr auto doc =
      kChannels ? "input * mask, the mask drawn a channel" : "input * mask, the mask drawn an element";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("output"), output("mask").hidden().no_grad()};
  static constexpr std::array saves{save_output(1)};
  static constexpr bool random = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_probability(name, a.p);
    if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
    Shape mask = in[0].shape();
    if constexpr (kChannels) {
      if (mask.size() < 2) fail(name, ": expects input [N, C, *], got ", to_string(in[0]));
      for (size_t i = 2; i < mask.size(); ++i) mask[i] = 1;
    }
    return {{in[0].dtype, in[0].shape()}, {in[0].dtype, mask}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::bernoulli(out[1], 1 - a.p, current_generator());
    if (a.p < 1) {
      kernels::binary(kernels::BinaryOp::kDiv, out[1], Tensor::scalar(1 - a.p, out[1].dtype()), out[1]);
    }
    kernels::binary(kernels::BinaryOp::kMul, in[0], out[1], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), v.output(1))}; }
};

struct Dropout {
  using Attrs = DropoutAttrs;
  static constexpr auto name = "dropout";
  static constexpr auto doc = "in training, zeroes elements with probability p and scales the rest by 1 / (1 - p)";
  static constexpr std::array inputs{input("input")};
  static constexpr bool random = true;
  static Tensor compose(const Attrs& a, Inputs in) {
    check_probability(name, a.p);
    if (!a.training || a.p == 0 || in[0].numel() == 0) return in[0];
    return apply<NativeDropout<false>>(a, {in[0]});
  }
};

struct Dropout2d {
  using Attrs = DropoutAttrs;
  static constexpr auto name = "dropout2d";
  static constexpr auto doc = "in training, zeroes channels of [N, C, *] with probability p and scales the rest";
  static constexpr std::array inputs{input("input")};
  static constexpr bool random = true;
  static Tensor compose(const Attrs& a, Inputs in) {
    check_probability(name, a.p);
    if (in[0].dim() < 2)
      fail("dropout2d: Feature dropout requires at least 2 dimensions in the input, got ", in[0].dim());
    if (!a.training || a.p == 0 || in[0].numel() == 0) return in[0];
    return apply<NativeDropout<true>>(a, {in[0]});
  }
};

const OpFamily kFamily{op_def<ReluBackward>(),
                       op_def<Relu>(),
                       op_def<Sigmoid>(),
                       op_def<Tanh>(),
                       op_def<Softmax>(),
                       op_def<LogSoftmax>(),
                       op_def<Dropout>(),
                       op_def<Dropout2d>(),
                       op_def<NativeDropout<false>>(),
                       op_def<NativeDropout<true>>()};

}  // namespace

Tensor relu(const Tensor& x) { return apply<Relu>({}, {x}); }
Tensor relu_(const Tensor& x) { return apply_inplace<Relu>({}, {x}); }
Tensor sigmoid(const Tensor& x) { return apply<Sigmoid>({}, {x}); }
Tensor tanh(const Tensor& x) { return apply<Tanh>({}, {x}); }
Tensor softmax(const Tensor& x, const SoftmaxAttrs& attrs) { return apply<Softmax>(attrs, {x}); }
Tensor log_softmax(const Tensor& x, const SoftmaxAttrs& attrs) { return apply<LogSoftmax>(attrs, {x}); }
Tensor dropout(const Tensor& x, const DropoutAttrs& attrs) { return apply<Dropout>(attrs, {x}); }
Tensor dropout2d(const Tensor& x, const DropoutAttrs& attrs) { return apply<Dropout2d>(attrs, {x}); }

}  // namespace tapewire
