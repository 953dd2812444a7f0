#include "core/ops/arithmetic.h"

#include "core/base/error.h"
#include "core/kernels/ternary.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::BinaryOp;

void check_alpha(std::string_view op, const Scalar& alpha, DType dtype) {
  if (alpha.is_float() && !is_floating(dtype))
    fail(op, ": For integral input tensors, argument alpha must not be a floating point number.");
  if (alpha.is_bool() && dtype != DType::kBool) fail(op, ": Boolean alpha only supported for Boolean results.");
}

struct Add {
  using Attrs = AddAttrs;
  static constexpr auto name = "add";
  static constexpr auto doc = "input + alpha * other";
  static constexpr std::array inputs{input("input"), input("other")};
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
  static constexpr auto name = "sub";
  static constexpr auto doc = "input - alpha * other";
  static constexpr std::array inputs{input("input"), input("other")};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_alpha(name, a.alpha, in[0].dtype);
    if (in[0].dtype == DType::kBool) {
      fail(
          "sub: Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
          "operator instead.");
    }
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
  static constexpr std::array inputs{input("input"), input("other")};
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

// True division; the rounding modes are ops of their own below.
struct TrueDiv : Binary<BinaryOp::kDiv> {
  static constexpr auto name = "true_divide";
  static constexpr auto doc = "input / other; integers become floats";
  static constexpr auto promotion = Promotion::kFloat;
  static constexpr std::array saves{save_input(0).to_grad(1), save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs("div", in); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor other = v.input(1);
    Tensor by_other;
    if (v.needs(1)) by_other = neg(mul(g, div(div(v.input(0), other), other)));
    return {v.needs(0) ? div(g, other) : Tensor(), by_other};
  }
};

// Piecewise constant: the gradient is zero.
template <BinaryOp kOp>
struct RoundedDiv : Binary<kOp> {
  static TensorSpecs infer(const NoAttrs&, Specs in) { return broadcast_specs("div", in); }
  static Tensors vjp(const NoAttrs&, const Vjp& v) {
    const Tensor zero = Tensor::zeros(v.output_spec(0).shape, v.output_spec(0).dtype);
    return {zero, zero};
  }
};
struct TruncDivide : RoundedDiv<BinaryOp::kDivTrunc> {
  static constexpr auto name = "trunc_divide";
  static constexpr auto doc = "input / other rounded toward zero";
};
struct FloorDivide : RoundedDiv<BinaryOp::kDivFloor> {
  static constexpr auto name = "floor_divide";
  static constexpr auto doc = "input / other rounded down";
};

struct Div {
  using Attrs = DivAttrs;
  static constexpr auto name = "div";
  static constexpr auto doc = "input / other; with rounding_mode rounded";
  static constexpr std::array inputs{input("input"), input("other")};
  static Tensor compose(const Attrs& a, Inputs in) {
    if (!a.rounding_mode) return apply<TrueDiv>({}, {in[0], in[1]});
    return *a.rounding_mode == RoundingMode::kTrunc ? apply<TruncDivide>({}, {in[0], in[1]})
                                                    : apply<FloorDivide>({}, {in[0], in[1]});
  }
};

struct Pow : Binary<BinaryOp::kPow> {
  static constexpr auto name = "pow";
  static constexpr auto doc = "input ** exponent";
  static constexpr std::array inputs{input("input"), input("exponent")};
  static constexpr std::array saves{save_input(0), save_input(1), save_output(0).to_grad(1)};
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor x = v.input(0);
    const Tensor exponent = v.input(1);
    Tensors out(2);
    if (v.needs(0)) {
      const Tensor slope = mul(exponent, pow(x, sub(exponent, 1)));
      const Tensor zero = Tensor::scalar(0.0, g.dtype());
      out[0] = where(eq(exponent, 0), zero, mul(g, slope));
    }
    if (v.needs(1)) {
      // 0 ** exponent is constant for a positive exponent; log(0) must not make a NaN of it.
      const Tensor zero = Tensor::scalar(0.0, g.dtype());
      const Tensor flat = mul(eq(x, 0), ge(exponent, 0));
      out[1] = mul(g, where(flat, zero, mul(v.output(0), log(x))));
    }
    return out;
  }
};

// maximum and minimum: equal operands get half each.
template <BinaryOp kOp>
struct Extreme : Binary<kOp> {
  static constexpr std::array saves{save_input(0), save_input(1)};
  static Tensors split(const Vjp& v, const Tensor& wins, const Tensor& ties) {
    const Tensor g = v.grad();
    const Tensor zero = Tensor::scalar(0.0, g.dtype());
    const Tensor half = mul(g, 0.5);
    return {where(ties, half, where(wins, g, zero)), where(ties, half, where(wins, zero, g))};
  }
};
struct Maximum : Extreme<BinaryOp::kMaximum> {
  static constexpr auto name = "maximum";
  static constexpr auto doc = "the larger of input and other; NaN if either is";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return split(v, gt(v.input(0), v.input(1)), eq(v.input(0), v.input(1)));
  }
};
struct Minimum : Extreme<BinaryOp::kMinimum> {
  static constexpr auto name = "minimum";
  static constexpr auto doc = "the smaller of input and other; NaN if either is";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return split(v, lt(v.input(0), v.input(1)), eq(v.input(0), v.input(1)));
  }
};

template <BinaryOp kOp>
struct Comparison : Binary<kOp> {
  static constexpr bool inplace = false;
  static TensorSpecs infer(const NoAttrs&, Specs in) {
    return {{DType::kBool, broadcast_shapes("comparison", in[0].sizes, in[1].sizes)}};
  }
};
struct Eq : Comparison<BinaryOp::kEq> {
  static constexpr auto name = "eq";
  static constexpr auto doc = "input == other";
};
struct Ne : Comparison<BinaryOp::kNe> {
  static constexpr auto name = "ne";
  static constexpr auto doc = "input != other";
};
struct Lt : Comparison<BinaryOp::kLt> {
  static constexpr auto name = "lt";
  static constexpr auto doc = "input < other";
};
struct Le : Comparison<BinaryOp::kLe> {
  static constexpr auto name = "le";
  static constexpr auto doc = "input <= other";
};
struct Gt : Comparison<BinaryOp::kGt> {
  static constexpr auto name = "gt";
  static constexpr auto doc = "input > other";
};
struct Ge : Comparison<BinaryOp::kGe> {
  static constexpr auto name = "ge";
  static constexpr auto doc = "input >= other";
};

struct Where {
  using Attrs = NoAttrs;
  static constexpr auto name = "where";
  static constexpr auto doc = "condition ? input : other";
  static constexpr std::array inputs{input("condition").fixed(), input("input"), input("other")};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[0].dtype != DType::kBool) {
      fail("where: expected condition to be a boolean tensor, but got a tensor with dtype ", name_of(in[0].dtype));
    }
    const Shape both = broadcast_shapes(name, in[1].sizes, in[2].sizes);
    return {{in[1].dtype, broadcast_shapes(name, in[0].sizes, both)}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::where(in[0], in[1], in[2], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor condition = v.input(0);
    const Tensor zero = Tensor::scalar(0.0, g.dtype());
    return {Tensor(), v.needs(1) ? where(condition, g, zero) : Tensor(),
            v.needs(2) ? where(condition, zero, g) : Tensor()};
  }
};

const OpFamily kFamily{op_def<Add>(),         op_def<Sub>(),         op_def<Rsub>(), op_def<Mul>(), op_def<TrueDiv>(),
                       op_def<TruncDivide>(), op_def<FloorDivide>(), op_def<Div>(),  op_def<Pow>(), op_def<Maximum>(),
                       op_def<Minimum>(),     op_def<Eq>(),          op_def<Ne>(),   op_def<Lt>(),  op_def<Le>(),
                       op_def<Gt>(),          op_def<Ge>(),          op_def<Where>()};

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
  if (!attrs.rounding_mode) return apply_inplace<TrueDiv>({}, {x, other});
  return *attrs.rounding_mode == RoundingMode::kTrunc ? apply_inplace<TruncDivide>({}, {x, other})
                                                      : apply_inplace<FloorDivide>({}, {x, other});
}
Tensor pow(const Tensor& x, const Tensor& exponent) { return apply<Pow>({}, {x, exponent}); }
Tensor maximum(const Tensor& x, const Tensor& other) { return apply<Maximum>({}, {x, other}); }
Tensor minimum(const Tensor& x, const Tensor& other) { return apply<Minimum>({}, {x, other}); }
Tensor eq(const Tensor& x, const Tensor& other) { return apply<Eq>({}, {x, other}); }
Tensor ne(const Tensor& x, const Tensor& other) { return apply<Ne>({}, {x, other}); }
Tensor lt(const Tensor& x, const Tensor& other) { return apply<Lt>({}, {x, other}); }
Tensor le(const Tensor& x, const Tensor& other) { return apply<Le>({}, {x, other}); }
Tensor gt(const Tensor& x, const Tensor& other) { return apply<Gt>({}, {x, other}); }
Tensor ge(const Tensor& x, const Tensor& other) { return apply<Ge>({}, {x, other}); }
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& other) {
  return apply<Where>({}, {condition, x, other});
}

}  // namespace tapewire
