#include "core/ops/smooth_activation.h"

#include <numbers>

#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"
#include "core/ops/selection.h"
#include "core/ops/slicing.h"
#include "core/ops/special.h"

namespace tapewire {
namespace {

using kernels::SlopeOp;
using kernels::UnaryAttrOp;
using kernels::UnaryOp;

constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr double kSeluScale = 1.0507009873554804934193349852946;

// sigmoid, by functions whose derivatives lose no digit far out on either side, where sigmoid's y (1 - y) does.
Tensor steady_sigmoid(const Tensor& x) { return exp(logsigmoid(x)); }

// x where the slopes below still change; they meet no infinity then. NaN stays, and so does its slope: clamp's is 0.
Tensor in_reach(const Tensor& x) { return where(gt(abs(x), 1000.0), mul(sign(x), 1000.0), x); }

// grad * a exp(x / width) where x <= 0, else grad times b. exp is never taken above 0, where it could overflow; its own
// slope at 0 is 0, as clamp_max has it.
Tensor exponential_gradient(const Tensor& g, const Tensor& x, double a, double b, double width = 1) {
  const Tensor low = clamp_max(x, 0);
  const Tensor below = mul(g, mul(exp(width == 1 ? low : div(low, width)), a));
  return where(le(x, 0), below, b == 1 ? g : mul(g, b));
}

struct Elu : NumericUnary<UnaryOp::kSelu> {
  using Attrs = AlphaAttrs;
  static constexpr auto name = "elu";
  static constexpr auto doc = "input where positive, else alpha * (exp(input) - 1)";
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::unary_attr(UnaryAttrOp::kElu, in[0], a.alpha, 0, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {
        activation_gradient(SlopeOp::kElu, g, x, [&] { return exponential_gradient(g, x, a.alpha, 1); }, a.alpha, 1)};
  }
};

struct Selu : NumericUnary<UnaryOp::kSelu> {
  static constexpr auto name = "selu";
  static constexpr auto doc = "1.0507 * elu(input, 1.6733): keeps mean 0 and variance 1";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    constexpr double kBelow = kSeluAlpha * kSeluScale;
    return {activation_gradient(
        SlopeOp::kElu, g, x, [&] { return exponential_gradient(g, x, kBelow, kSeluScale); }, kBelow, kSeluScale)};
  }
};

struct Celu : NumericUnary<UnaryOp::kSelu> {
  using Attrs = AlphaAttrs;
  static constexpr auto name = "celu";
  static constexpr auto doc = "input where positive, else alpha * (exp(input / alpha) - 1)";
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (a.alpha == 0) fail("celu: ZeroDivisionError: alpha cannot be 0 for CELU");
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::unary_attr(UnaryAttrOp::kCelu, in[0], a.alpha, 0, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {
        activation_gradient(SlopeOp::kCelu, g, x, [&] { return exponential_gradient(g, x, 1, 1, a.alpha); }, a.alpha)};
  }
};

struct Gelu : NumericUnary<UnaryOp::kGelu> {
  using Attrs = GeluAttrs;
  static constexpr auto name = "gelu";
  static constexpr auto doc = "input times the normal distribution's share below it; approximate 'tanh': nearly";
  static constexpr std::array<std::string_view, 1> order{"input"};
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (a.approximate != "none" && a.approximate != "tanh") {
      fail("gelu: approximate argument must be either none or tanh.");
    }
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::unary(a.approximate == "tanh" ? UnaryOp::kGeluTanh : UnaryOp::kGelu, in[0], out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    if (a.approximate == "tanh") {
      return {activation_gradient(SlopeOp::kGeluTanh, g, x, [&] { return mul(g, tanh_slope(in_reach(x))); })};
    }
    return {activation_gradient(SlopeOp::kGelu, g, x, [&] { return mul(g, exact_slope(in_reach(x))); })};
  }
  static Tensor exact_slope(const Tensor& x) {
    const Tensor share = mul(add(erf(mul(x, std::numbers::sqrt2 / 2)), 1.0), 0.5);
    const Tensor density = mul(exp(mul(square(x), -0.5)), std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    return add(share, mul(x, density));
  }
  static Tensor tanh_slope(const Tensor& x) {
    constexpr double kScale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
    constexpr double kCubic = 0.044715;
    const Tensor t = tanh(mul(add(x, mul(pow(x, 3), kCubic)), kScale));
    const Tensor inner_slope = mul(add(mul(square(x), 3 * kCubic), 1.0), kScale);
    return mul(add(add(t, 1.0), mul(mul(x, 1.0 - square(t)), inner_slope)), 0.5);
  }
};

struct Silu : NumericUnary<UnaryOp::kSilu> {
  static constexpr auto name = "silu";
  static constexpr auto doc = "input * sigmoid(input)";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {activation_gradient(SlopeOp::kSilu, g, x, [&] {
      const Tensor near = in_reach(x);
      return mul(g, mul(steady_sigmoid(near), add(mul(near, steady_sigmoid(neg(near))), 1.0)));
    })};
  }
};

struct Mish : NumericUnary<UnaryOp::kMish> {
  static constexpr auto name = "mish";
  static constexpr auto doc = "input * tanh(softplus(input))";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {activation_gradient(SlopeOp::kMish, g, x, [&] {
      const Tensor near = in_reach(x);
      const Tensor t = tanh(softplus(near));
      return mul(g, add(t, mul(mul(near, sigmoid(near)), 1.0 - square(t))));
    })};
  }
};

struct Softplus : NumericUnary<UnaryOp::kSelu> {
  using Attrs = SoftplusAttrs;
  static constexpr auto name = "softplus";
  static constexpr auto doc = "log(1 + exp(beta * input)) / beta; input itself where beta * input is above threshold";
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::unary_attr(UnaryAttrOp::kSoftplus, in[0], a.beta, a.threshold, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {activation_gradient(
        SlopeOp::kSoftplus, g, x,
        [&] {
          const Tensor scaled = mul(x, a.beta);
          // Beyond the threshold it is a line, whose slope changes no more; so it is held at the threshold itself.
          return where(gt(scaled, a.threshold), g,
                       mul(g, steady_sigmoid(where(ge(scaled, a.threshold), Tensor::wrapped(a.threshold), scaled))));
        },
        a.beta, a.threshold)};
  }
};

struct Softsign : FloatUnary<UnaryOp::kSoftsign> {
  static constexpr auto name = "softsign";
  static constexpr auto doc = "input / (1 + |input|)";
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), square(add(abs(v.input(0)), 1.0)))}; }
};

struct Logsigmoid : NumericUnary<UnaryOp::kLogsigmoid> {
  static constexpr auto name = "logsigmoid";
  static constexpr auto doc = "log(sigmoid(input))";
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {activation_gradient(SlopeOp::kLogsigmoid, g, x, [&] { return mul(g, steady_sigmoid(neg(x))); })};
  }
};

struct Tanhshrink : FloatUnary<UnaryOp::kTanhshrink> {
  static constexpr auto name = "tanhshrink";
  static constexpr auto doc = "input - tanh(input)";
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), square(tanh(v.input(0))))}; }
};

struct Glu {
  using Attrs = GluAttrs;
  static constexpr auto name = "glu";
  static constexpr auto doc = "the first half of input along dim times the sigmoid of the second";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    check_floating(name, x.dtype());
    if (x.dim() == 0) fail("glu: glu does not support 0-dimensional tensors");
    const int64_t dim = wrap_dim(name, a.dim, x.dim());
    const int64_t size = x.size(dim);
    if (size % 2 != 0) fail("glu: Halving dimension must be even, but dimension ", dim, " is size ", size);
    return mul(narrow(x, dim, 0, size / 2), sigmoid(narrow(x, dim, size / 2, size / 2)));
  }
};

const OpFamily kFamily{op_def<Elu>(),        op_def<Selu>(),       op_def<Celu>(),     op_def<Gelu>(),
                       op_def<Silu>(),       op_def<Mish>(),       op_def<Softplus>(), op_def<Softsign>(),
                       op_def<Logsigmoid>(), op_def<Tanhshrink>(), op_def<Glu>()};

}  // namespace

Tensor elu(const Tensor& x, const AlphaAttrs& attrs) { return apply<Elu>(attrs, {x}); }
Tensor elu_(const Tensor& x, const AlphaAttrs& attrs) { return apply_inplace<Elu>(attrs, {x}); }
Tensor selu(const Tensor& x) { return apply<Selu>({}, {x}); }
Tensor selu_(const Tensor& x) { return apply_inplace<Selu>({}, {x}); }
Tensor celu(const Tensor& x, const AlphaAttrs& attrs) { return apply<Celu>(attrs, {x}); }
Tensor celu_(const Tensor& x, const AlphaAttrs& attrs) { return apply_inplace<Celu>(attrs, {x}); }
Tensor gelu(const Tensor& x, const GeluAttrs& attrs) { return apply<Gelu>(attrs, {x}); }
Tensor silu(const Tensor& x) { return apply<Silu>({}, {x}); }
Tensor silu_(const Tensor& x) { return apply_inplace<Silu>({}, {x}); }
Tensor mish(const Tensor& x) { return apply<Mish>({}, {x}); }
Tensor mish_(const Tensor& x) { return apply_inplace<Mish>({}, {x}); }
Tensor softplus(const Tensor& x, const SoftplusAttrs& attrs) { return apply<Softplus>(attrs, {x}); }
Tensor softsign(const Tensor& x) { return apply<Softsign>({}, {x}); }
Tensor logsigmoid(const Tensor& x) { return apply<Logsigmoid>({}, {x}); }
Tensor tanhshrink(const Tensor& x) { return apply<Tanhshrink>({}, {x}); }
Tensor glu(const Tensor& x, const GluAttrs& attrs) { return apply<Glu>(attrs, {x}); }

}  // namespace tapewire
