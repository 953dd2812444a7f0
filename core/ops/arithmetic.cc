#include "core/ops/arithmetic.h"

#include "core/base/error.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::BinaryOp;

// What follows them is given by name.
constexpr std::array<std::string_view, 2> kInputAndOther{"input", "other"};

void check_alpha(std::string_view op, const Scalar& alpha, DType dtype) {
  if (alpha.is_float() && !is_floating(dtype))
    fail(op, ": For integral input tensors, argument alpha must not be a floating point number.");
  if (alpha.is_bool() && dtype != DType::kBool) fail(op, ": Boolean alpha only supported for Boolean results.");
}

struct Add {
  using Attrs = AddAttrs;
  static constexpr auto name = "add";
  static constexpr auto doc = "input + alpha * other";
  static constexpr auto order = kInputAndOther;
  static constexpr auto inputs = kNumberOperands;
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_alpha(name, a.alpha, in[0].dtype);
    return broadcast_specs(name, in);
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (a.alpha == Scalar(1)) {
      kernels::binary(BinaryOp::kAdd, in[0], in[1], out[0]);
    } else {
      kernels::add_scaled(in[0], in[1], a.alpha, out[0]);
    }
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    return {g, !v.needs(1) ? Tensor() : a.alpha == Scalar(1) ? g : mul(g, a.alpha)};
  }
};

// Integers wrap around.
Scalar negated(const Scalar& x) {
  if (x.is_float()) return -x.to<double>();
  return static_cast<int64_t>(0 - static_cast<uint64_t>(x.to<int64_t>()));
}

struct Sub {
  using Attrs = AddAttrs;
  static void check(const Attrs&, Inputs in) {
    const bool left = in[0].dtype() == DType::kBool;
    const bool right = in[1].dtype() == DType::kBool;
    if (left && right) {
      fail(
          "sub: Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
          "operator instead.");
    }
    if (left || right) {
      fail(
          "sub: Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a "
          "mask, use the `~` or `logical_not()` operator instead.");
    }
  }
  static constexpr auto name = "sub";
  static constexpr auto doc = "input - alpha * other";
  static constexpr auto order = kInputAndOther;
  static constexpr auto inputs = kNumberOperands;
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_alpha(name, a.alpha, in[0].dtype);
    return broadcast_specs(name, in);
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (a.alpha == Scalar(1)) {
      kernels::binary(BinaryOp::kSub, in[0], in[1], out[0]);
    } else {
      kernels::add_scaled(in[0], in[1], negated(a.alpha), out[0]);
    }
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    return {g, !v.needs(1) ? Tensor() : neg(a.alpha == Scalar(1) ? g : mul(g, a.alpha))};
  }
};

struct Rsub {
  using Attrs = AddAttrs;
  static constexpr auto name = "rsub";
  static constexpr auto doc = "other - alpha * input";
  static constexpr auto order = kInputAndOther;
  static constexpr auto inputs = kNumberOnTheRight;
  static Tensor compose(const Attrs& a, Inputs in) { return sub(in[1], in[0], a); }
};

struct Mul : Binary<BinaryOp::kMul> {
  static constexpr auto name = "mul";
  static constexpr auto doc = "input * other";
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    return {v.needs(0) ? mul(g, v.input(1)) : Tensor(), v.needs(1) ? mul(g, v.input(0)) : Tensor()};
  }
};

using Rounding = std::optional<RoundingMode>;

TensorSpecs div_specs(const Rounding& mode, Specs in) {
  if (mode) check_not_bool("div", in[0].dtype);
  return broadcast_specs("div", in);
}

void divide(const Rounding& mode, Inputs in, Outputs out) {
  if (!mode) return kernels::binary(BinaryOp::kDiv, in[0], in[1], out[0]);
  kernels::binary(*mode == RoundingMode::kTrunc ? BinaryOp::kDivTrunc : BinaryOp::kDivFloor, in[0], in[1], out[0]);
}

Tensors div_gradients(const Rounding& mode, const Vjp& v) {
  if (mode) return zero_gradients(v, 2);
  const Tensor g = v.grad();
  const Tensor other = v.input(1);
  return {v.needs(0) ? div(g, other) : Tensor(),
          v.needs(1) ? neg(mul(g, div(div(v.input(0), other), other))) : Tensor()};
}

struct DivInputs {
  static constexpr auto inputs = kNumberOperands;
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1)};
};
struct Div : DivInputs {
  using Attrs = DivAttrs;
  static constexpr auto name = "div";
  static constexpr auto doc = "input / other, floats for integers; or rounded by rounding_mode";
  static constexpr auto order = kInputAndOther;
  static Promotion promotion_of(const Attrs& a) { return a.rounding_mode ? Promotion::kCommon : Promotion::kFloat; }
  static TensorSpecs infer(const Attrs& a, Specs in) { return div_specs(a.rounding_mode, in); }
  static void eval(const Attrs& a, Inputs in, Outputs out) { divide(a.rounding_mode, in, out); }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return div_gradients(a.rounding_mode, v); }
};
struct TrueDivide : DivInputs {
  using Attrs = NoAttrs;
  static constexpr auto name = "true_divide";
  static constexpr auto doc = "input / other, floats for integers";
  static constexpr auto promotion = Promotion::kFloat;
  static TensorSpecs infer(const Attrs&, Specs in) { return div_specs({}, in); }
  static void eval(const Attrs&, Inputs in, Outputs out) { divide({}, in, out); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return div_gradients({}, v); }
};
struct FloorDivide : DivInputs {
  using Attrs = NoAttrs;
  static constexpr auto name = "floor_divide";
  static constexpr auto doc = "input / other rounded down";
  static constexpr auto promotion = Promotion::kCommon;
  static TensorSpecs infer(const Attrs&, Specs in) { return div_specs(RoundingMode::kFloor, in); }
  static void eval(const Attrs&, Inputs in, Outputs out) { divide(RoundingMode::kFloor, in, out); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return div_gradients(RoundingMode::kFloor, v); }
};

struct Remainder : Binary<BinaryOp::kRemainder> {
  static constexpr auto name = "remainder";
  static constexpr auto doc = "what the division rounded down leaves; it has the sign of other";
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_not_bool(name, in[0].dtype);
    return broadcast_specs(name, in);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    return {g, v.needs(1) ? neg(mul(g, div(v.input(0), v.input(1), {RoundingMode::kFloor}))) : Tensor()};
  }
};

struct Fmod : Binary<BinaryOp::kFmod> {
  static constexpr auto name = "fmod";
  static constexpr auto doc = "what the division rounded toward zero leaves; it has the sign of input";
  static constexpr auto inputs = kNumberOnTheRight;
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1).to_grad(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_not_bool(name, in[0].dtype);
    return broadcast_specs(name, in);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    return {g, v.needs(1) ? neg(mul(g, div(v.input(0), v.input(1), {RoundingMode::kTrunc}))) : Tensor()};
  }
};

// d/dx x ** p; none where p is 0, whatever x.
Tensor power_slope(const Tensor& x, const Tensor& exponent, bool constant_exponent) {
  if (constant_exponent && exponent.dim() == 0) {
    const auto p = exponent.item<double>();
    if (p == 0) return Tensor::zeros(x.sizes(), x.dtype());
    return mul(p == 2 ? x : pow(x, p - 1), p);
  }
  const Tensor slope = mul(exponent, pow(x, sub(exponent, 1)));
  return where(eq(exponent, 0), Tensor::scalar(0.0, slope.dtype()), slope);
}

struct Pow : Binary<BinaryOp::kPow> {
  static constexpr auto name = "pow";
  static constexpr auto doc = "input ** exponent";
  static constexpr std::array inputs{input("input"), input("exponent")};
  static constexpr std::array saves{save_input(0), save_input(1), save_output(0).to_grad(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_not_bool(name, in[0].dtype);
    return broadcast_specs(name, in);
  }
  static void check(const Attrs&, Inputs in) {
    if (!is_floating(in[0].dtype()) && is_integral(in[1].dtype()) && in[1].dim() == 0 && in[1].item<double>() < 0) {
      fail("pow: Integers to negative integer powers are not allowed.");
    }
  }
  static Scalar convert(size_t, const Scalar& number, DType common) {
    if (!is_floating(common)) check_converts(name, number, common);
    return number;
  }
  // PyTorch's numbers are exact powers and roots; a tensor's exponents are C's pow, whatever their count.
  static void eval(const Attrs&, Inputs in, Outputs out) {
    if (in[1].is_wrapped_number() && is_floating(out[0].dtype())) {
      kernels::power(in[0], in[1].item<double>(), out[0]);
    } else {
      kernels::binary(BinaryOp::kPow, in[0], in[1], out[0]);
    }
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    const Tensor exponent = v.input(1);
    Tensors out(2);
    if (v.needs(0)) out[0] = mul(g, power_slope(x, exponent, !v.needs(1)));
    if (v.needs(1)) {
      // 0 ** exponent is constant for a positive exponent; log(0) must not make a NaN of it.
      const Tensor zero = Tensor::scalar(0.0, g.dtype());
      const Tensor flat = logical_and(eq(x, 0), ge(exponent, 0));
      out[1] = mul(g, where(flat, zero, mul(v.output(0), log(x))));
    }
    return out;
  }
};

const OpFamily kFamily{op_def<Add>(),        op_def<Sub>(),         op_def<Rsub>(),      op_def<Mul>(),  op_def<Div>(),
                       op_def<TrueDivide>(), op_def<FloorDivide>(), op_def<Remainder>(), op_def<Fmod>(), op_def<Pow>()};

}  // namespace

Tensor add(const Tensor& x, const Tensor& other, const AddAttrs& attrs) { return apply<Add>(attrs, {x, other}); }
Tensor add_(const Tensor& x, const Tensor& other, const AddAttrs& attrs) {
  return apply_inplace<Add>(attrs, {x, other});
}
Tensor sub(const Tensor& x, const Tensor& other, const AddAttrs& attrs) { return apply<Sub>(attrs, {x, other}); }
Tensor sub_(const Tensor& x, const Tensor& other, const AddAttrs& attrs) {
  return apply_inplace<Sub>(attrs, {x, other});
}
Tensor rsub(const Tensor& x, const Tensor& other, const AddAttrs& attrs) { return apply<Rsub>(attrs, {x, other}); }
Tensor mul(const Tensor& x, const Tensor& other) { return apply<Mul>({}, {x, other}); }
Tensor mul_(const Tensor& x, const Tensor& other) { return apply_inplace<Mul>({}, {x, other}); }
Tensor div(const Tensor& x, const Tensor& other, const DivAttrs& attrs) { return apply<Div>(attrs, {x, other}); }
Tensor div_(const Tensor& x, const Tensor& other, const DivAttrs& attrs) {
  return apply_inplace<Div>(attrs, {x, other});
}
Tensor remainder(const Tensor& x, const Tensor& other) { return apply<Remainder>({}, {x, other}); }
Tensor fmod(const Tensor& x, const Tensor& other) { return apply<Fmod>({}, {x, other}); }
Tensor pow(const Tensor& x, const Tensor& exponent) { return apply<Pow>({}, {x, exponent}); }

}  // namespace tapewire
