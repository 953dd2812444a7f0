#include "core/ops/activation.h"

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/softmax.h"
#include "core/kernels/ternary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::SlopeOp;
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
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[0].dtype == DType::kBool) fail("relu: Boolean inputs not supported for relu");
    return {{in[0].dtype, in[0].shape()}};
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {apply<ReluBackward>({}, {v.grad(), v.output(0)})}; }
};

struct Sigmoid : FloatUnary<UnaryOp::kSigmoid> {
  static constexpr auto name = "sigmoid";
  static constexpr auto doc = "1 / (1 + exp(-input))";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor y = v.output(0);
    return {activation_gradient(SlopeOp::kSigmoid, g, y, [&] { return mul(g, mul(y, 1.0 - y)); })};
  }
};

struct Tanh : FloatUnary<UnaryOp::kTanh> {
  static constexpr auto name = "tanh";
  static constexpr auto doc = "hyperbolic tangent";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor y = v.output(0);
    return {activation_gradient(SlopeOp::kTanh, g, y, [&] { return mul(g, 1.0 - square(y)); })};
  }
};

TensorSpecs softmax_specs(std::string_view op, const SoftmaxAttrs& a, Specs in) {
  wrap_dim(op, a.dim, in[0].dim());
  const DType dtype = a.dtype.value_or(in[0].dtype);
  check_floating(op, dtype);
  return {{dtype, in[0].shape()}};
}

int64_t softmax_dim(const SoftmaxAttrs& a, const Tensor& x) { return wrap_dim("softmax", a.dim, x.dim()); }

// The input as the result's dtype has it; the engine casts the gradient back.
Tensor converted(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  const Tensor out = Tensor::empty(x.sizes(), dtype);
  kernels::copy(x, out);
  return out;
}

struct Softmax {
  using Attrs = SoftmaxAttrs;
  static constexpr auto name = "softmax";
  static constexpr auto doc = "exp(input) / sum(exp(input)) along dim";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array saves{save_output(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) { return softmax_specs(name, a, in); }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::softmax(converted(in[0], out[0].dtype()), softmax_dim(a, in[0]), out[0]);
  }
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
    kernels::log_softmax(converted(in[0], out[0].dtype()), softmax_dim(a, in[0]), out[0]);
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

struct Softmin {
  using Attrs = SoftmaxAttrs;
  static constexpr auto name = "softmin";
  static constexpr auto doc = "softmax(-input)";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) { return softmax(neg(in[0]), a); }
};

const OpFamily kFamily{op_def<ReluBackward>(), op_def<Relu>(),       op_def<Sigmoid>(), op_def<Tanh>(),
                       op_def<Softmax>(),      op_def<LogSoftmax>(), op_def<Softmin>()};

}  // namespace

Tensor relu(const Tensor& x) { return apply<Relu>({}, {x}); }
Tensor relu_(const Tensor& x) { return apply_inplace<Relu>({}, {x}); }
Tensor sigmoid(const Tensor& x) { return apply<Sigmoid>({}, {x}); }
Tensor tanh(const Tensor& x) { return apply<Tanh>({}, {x}); }
Tensor softmax(const Tensor& x, const SoftmaxAttrs& attrs) { return apply<Softmax>(attrs, {x}); }
Tensor log_softmax(const Tensor& x, const SoftmaxAttrs& attrs) { return apply<LogSoftmax>(attrs, {x}); }
Tensor softmin(const Tensor& x, const SoftmaxAttrs& attrs) { return apply<Softmin>(attrs, {x}); }

}  // namespace tapewire
