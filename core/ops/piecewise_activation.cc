#include "core/ops/piecewise_activation.h"

#include "core/base/random.h"
#include "core/kernels/copy.h"
#include "core/kernels/random.h"
#include "core/kernels/ternary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

using kernels::SlopeOp;
using kernels::UnaryAttrOp;
using kernels::UnaryOp;

Tensor zero_like(const Tensor& g) { return Tensor::scalar(0.0, g.dtype()); }

// The bound as the dtype has it; integers take the whole part.
Scalar bound_for(const Scalar& bound, DType dtype) {
  check_converts("hardtanh", bound, is_floating(dtype) ? dtype : DType::kInt64);
  if (is_floating(dtype)) return bound;
  const auto whole = bound.to<int64_t>();
  if (dtype == DType::kUInt8 && whole < 0) {
    fail("hardtanh: cannot do hardtanh on an unsigned type with negative limits");
  }
  check_converts("hardtanh", whole, dtype);
  return whole;
}

// The slope is one strictly between the bounds.
Tensor hardtanh_gradient(const Vjp& v, double low, double high) {
  const Tensor g = v.grad();
  const Tensor x = v.input(0);
  return activation_gradient(
      SlopeOp::kHardtanh, g, x, [&] { return where(logical_or(le(x, low), ge(x, high)), zero_like(g), g); }, low, high);
}

struct Relu6 : NumericUnary<UnaryOp::kRelu6> {
  static constexpr auto name = "relu6";
  static constexpr auto doc = "min(max(input, 0), 6); the slope at 0 and at 6 is 0";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {hardtanh_gradient(v, 0, 6)}; }
};

struct Hardtanh : NumericUnary<UnaryOp::kRelu6> {
  using Attrs = HardtanhAttrs;
  static constexpr auto name = "hardtanh";
  static constexpr auto doc = "min(max(input, min_val), max_val); the slope at both is 0";
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_not_bool(name, in[0].dtype);
    bound_for(a.min_val, in[0].dtype);
    bound_for(a.max_val, in[0].dtype);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const DType dtype = in[0].dtype();
    kernels::clamp(in[0], bound_for(a.min_val, dtype), bound_for(a.max_val, dtype), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    return {hardtanh_gradient(v, a.min_val.to<double>(), a.max_val.to<double>())};
  }
};

struct Hardsigmoid : NumericUnary<UnaryOp::kHardsigmoid> {
  static constexpr auto name = "hardsigmoid";
  static constexpr auto doc = "relu6(input + 3) / 6";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {activation_gradient(SlopeOp::kHardsigmoid, g, x, [&] {
      return where(logical_and(gt(x, -3.0), lt(x, 3.0)), mul(g, kernels::kHardsigmoidSlope), zero_like(g));
    })};
  }
};

struct Hardswish : NumericUnary<UnaryOp::kHardswish> {
  static constexpr auto name = "hardswish";
  static constexpr auto doc = "input * relu6(input + 3) / 6";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {activation_gradient(SlopeOp::kHardswish, g, x, [&] {
      const Tensor inside = mul(g, add(div(x, 3.0), 0.5));
      return where(le(x, -3.0), zero_like(g), where(lt(x, 3.0), inside, g));
    })};
  }
};

struct LeakyRelu : NumericUnary<UnaryOp::kRelu> {
  using Attrs = LeakyReluAttrs;
  static constexpr auto name = "leaky_relu";
  static constexpr auto doc = "input where positive, else negative_slope * input";
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::unary_attr(UnaryAttrOp::kLeakyRelu, in[0], a.negative_slope, 0, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {activation_gradient(
        SlopeOp::kLeakyRelu, g, x, [&] { return where(gt(x, 0), g, mul(g, a.negative_slope)); }, a.negative_slope)};
  }
};

template <UnaryAttrOp kOp>
struct Shrink : NumericUnary<UnaryOp::kAbs> {
  using Attrs = ShrinkAttrs;
  static constexpr std::array saves{save_input(0)};
  static void eval(const Attrs& a, Inputs in, Outputs out) { kernels::unary_attr(kOp, in[0], a.lambd, 0, out[0]); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    return {activation_gradient(
        SlopeOp::kShrink, g, x, [&] { return where(logical_and(ge(x, -a.lambd), le(x, a.lambd)), zero_like(g), g); },
        a.lambd)};
  }
};
struct Hardshrink : Shrink<UnaryAttrOp::kHardshrink> {
  static constexpr auto name = "hardshrink";
  static constexpr auto doc = "input where its absolute value is above lambd, else 0";
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
};
struct Softshrink : Shrink<UnaryAttrOp::kSoftshrink> {
  static constexpr auto name = "softshrink";
  static constexpr auto doc = "input brought nearer to 0 by lambd, 0 between -lambd and lambd";
  static constexpr bool inplace = false;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (!(a.lambd >= 0)) {
      fail("softshrink: lambda must be greater or equal to 0, but found to be ", a.lambd, ".");
    }
    return {{in[0].dtype, in[0].shape()}};
  }
};

struct Threshold : NumericUnary<UnaryOp::kRelu> {
  using Attrs = ThresholdAttrs;
  static constexpr auto name = "threshold";
  static constexpr auto doc = "input where above threshold, else value";
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_not_bool(name, in[0].dtype);
    check_converts(name, a.threshold, in[0].dtype);
    check_converts(name, a.value, in[0].dtype);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) { kernels::threshold(in[0], a.threshold, a.value, out[0]); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    if (grad_enabled()) return {where(le(x, a.threshold), zero_like(g), g)};
    const Tensor out = Tensor::empty(x.sizes(), x.dtype());
    kernels::threshold_backward(g, x, a.threshold, out);
    return {out};
  }
};

struct Rrelu : NumericUnary<UnaryOp::kRelu> {
  using Attrs = RreluAttrs;
  static constexpr auto name = "rrelu";
  static constexpr auto doc =
      "leaky_relu whose slope is drawn from [lower, upper) for each element in training, else their mean";
  static constexpr std::array outputs{output("output"), output("slopes").hidden().no_grad()};
  static constexpr std::array saves{save_output(1)};
  static constexpr bool random = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_floating(name, in[0].dtype);
    if (!(a.lower <= a.upper)) fail("rrelu: Lower bound should be less than or equal to the upper bound");
    return {{in[0].dtype, in[0].shape()}, {in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (a.training) {
      kernels::rrelu_slopes(out[1], in[0], a.lower, a.upper, current_generator());
    } else {
      kernels::fill(out[1], 1.0);
      kernels::activation_backward(SlopeOp::kLeakyRelu, out[1], in[0], (a.lower + a.upper) / 2, 0, out[1]);
    }
    kernels::binary(kernels::BinaryOp::kMul, in[0], out[1], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), v.output(1))}; }
};

// prelu of a weight that broadcasts against input.
struct PreluElements : Binary<kernels::BinaryOp::kPrelu> {
  static constexpr auto name = "prelu_elements";
  static constexpr auto doc = "input where positive, else weight * input; they broadcast";
  static constexpr std::array inputs{input("input"), input("weight")};
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_floating("prelu", in[0].dtype);
    return broadcast_specs("prelu", in);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    const Tensor positive = gt(x, 0);
    return {v.needs(0) ? where(positive, g, mul(g, v.input(1))) : Tensor(),
            v.needs(1) ? where(positive, zero_like(g), mul(g, x)) : Tensor()};
  }
};

struct Prelu {
  using Attrs = NoAttrs;
  static constexpr auto name = "prelu";
  static constexpr auto doc = "input where positive, else weight * input; one weight for all or one a channel (dim 1)";
  static constexpr std::array inputs{input("input"), input("weight")};
  static Tensor compose(const Attrs&, Inputs in) {
    const Tensor& x = in[0];
    const Tensor& weight = in[1];
    if (weight.is_wrapped_number()) return apply<PreluElements>({}, {x, weight});
    if (weight.dim() > 1) {
      fail("prelu: Expected `weight` to be a scalar or 1D tensor, but got ndim = ", weight.dim());
    }
    if (weight.dtype() != x.dtype()) {
      fail("prelu: Type promoting not supported. Got ", name_of(x.dtype()), " and ", name_of(weight.dtype()));
    }
    Shape sizes(x.sizes().size(), 1);
    if (weight.numel() != 1) {
      if (x.dim() == 0) fail("prelu: Not allow zero-dim input tensor.");
      const int64_t channels = x.dim() > 1 ? x.size(1) : 1;
      if (channels != weight.numel()) {
        fail("prelu: Mismatch of parameter numbers and input channel size. Found parameter numbers = ", weight.numel(),
             " and channel size = ", channels, ".");
      }
      sizes[1] = channels;
    }
    return apply<PreluElements>({}, {x, reshape(weight, sizes)});
  }
};

const OpFamily kFamily{op_def<Relu6>(),     op_def<Hardtanh>(),      op_def<Hardsigmoid>(), op_def<Hardswish>(),
                       op_def<LeakyRelu>(), op_def<Hardshrink>(),    op_def<Softshrink>(),  op_def<Threshold>(),
                       op_def<Rrelu>(),     op_def<PreluElements>(), op_def<Prelu>()};

}  // namespace

Tensor relu6(const Tensor& x) { return apply<Relu6>({}, {x}); }
Tensor relu6_(const Tensor& x) { return apply_inplace<Relu6>({}, {x}); }
Tensor hardtanh(const Tensor& x, const HardtanhAttrs& attrs) { return apply<Hardtanh>(attrs, {x}); }
Tensor hardtanh_(const Tensor& x, const HardtanhAttrs& attrs) { return apply_inplace<Hardtanh>(attrs, {x}); }
Tensor hardsigmoid(const Tensor& x) { return apply<Hardsigmoid>({}, {x}); }
Tensor hardsigmoid_(const Tensor& x) { return apply_inplace<Hardsigmoid>({}, {x}); }
Tensor hardswish(const Tensor& x) { return apply<Hardswish>({}, {x}); }
Tensor hardswish_(const Tensor& x) { return apply_inplace<Hardswish>({}, {x}); }
Tensor leaky_relu(const Tensor& x, const LeakyReluAttrs& attrs) { return apply<LeakyRelu>(attrs, {x}); }
Tensor leaky_relu_(const Tensor& x, const LeakyReluAttrs& attrs) { return apply_inplace<LeakyRelu>(attrs, {x}); }
Tensor threshold(const Tensor& x, const ThresholdAttrs& attrs) { return apply<Threshold>(attrs, {x}); }
Tensor threshold_(const Tensor& x, const ThresholdAttrs& attrs) { return apply_inplace<Threshold>(attrs, {x}); }
Tensor rrelu(const Tensor& x, const RreluAttrs& attrs) { return apply<Rrelu>(attrs, {x}); }
Tensor rrelu_(const Tensor& x, const RreluAttrs& attrs) { return apply_inplace<Rrelu>(attrs, {x}); }
Tensor hardshrink(const Tensor& x, const ShrinkAttrs& attrs) { return apply<Hardshrink>(attrs, {x}); }
Tensor softshrink(const Tensor& x, const ShrinkAttrs& attrs) { return apply<Softshrink>(attrs, {x}); }
Tensor prelu(const Tensor& x, const Tensor& weight) { return apply<Prelu>({}, {x, weight}); }

}  // namespace tapewire
