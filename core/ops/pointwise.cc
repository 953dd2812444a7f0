#include "core/ops/pointwise.h"

#include "core/kernels/copy.h"
#include "core/ops/arithmetic.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::UnaryOp;

struct Neg : NumericUnary<UnaryOp::kNeg> {
  static constexpr auto name = "neg";
  static constexpr auto doc = "-input";
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (in[0].dtype == DType::kBool) {
      fail(
          "neg: Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
          "the `~` or `logical_not()` operator instead.");
    }
    return {{in[0].dtype, in[0].shape()}};
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {neg(v.grad())}; }
};

struct Positive {
  using Attrs = NoAttrs;
  static constexpr auto name = "positive";
  static constexpr auto doc = "input itself";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs&, Inputs in) {
    if (in[0].dtype() == DType::kBool) fail("positive: The `+` operator, on a bool tensor is not supported.");
    return in[0];
  }
};

struct Abs : NumericUnary<UnaryOp::kAbs> {
  static constexpr auto name = "abs";
  static constexpr auto doc = "|input|; the slope at 0 is 0";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), sign(v.input(0)))}; }
};

struct Sign : NumericUnary<UnaryOp::kSign> {
  static constexpr auto name = "sign";
  static constexpr auto doc = "-1, 0 or 1";
  static Tensors vjp(const Attrs&, const Vjp& v) { return zero_gradients(v); }
};

struct Sqrt : FloatUnary<UnaryOp::kSqrt> {
  static constexpr auto name = "sqrt";
  static constexpr auto doc = "square root";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), mul(v.output(0), 2.0))}; }
};

struct Rsqrt : FloatUnary<UnaryOp::kRsqrt> {
  static constexpr auto name = "rsqrt";
  static constexpr auto doc = "1 / sqrt(input)";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(mul(v.grad(), -0.5), pow(v.output(0), 3))}; }
};

// As input ** 2, which makes integers of bools.
struct Square : NumericUnary<UnaryOp::kSquare> {
  static constexpr auto name = "square";
  static constexpr auto doc = "input * input";
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    return {{in[0].dtype == DType::kBool ? DType::kInt64 : in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) {
    if (in[0].dtype() == DType::kBool) return kernels::copy(in[0], out[0]);
    kernels::unary(UnaryOp::kSquare, in[0], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(mul(v.grad(), 2.0), v.input(0))}; }
};

struct Reciprocal : FloatUnary<UnaryOp::kReciprocal> {
  static constexpr auto name = "reciprocal";
  static constexpr auto doc = "1 / input";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {neg(mul(v.grad(), square(v.output(0))))}; }
};

const OpFamily kFamily{op_def<Neg>(),  op_def<Positive>(), op_def<Abs>(),    op_def<Sign>(),
                       op_def<Sqrt>(), op_def<Rsqrt>(),    op_def<Square>(), op_def<Reciprocal>()};

}  // namespace

Tensor neg(const Tensor& x) { return apply<Neg>({}, {x}); }
Tensor positive(const Tensor& x) { return apply<Positive>({}, {x}); }
Tensor abs(const Tensor& x) { return apply<Abs>({}, {x}); }
Tensor sign(const Tensor& x) { return apply<Sign>({}, {x}); }
Tensor sqrt(const Tensor& x) { return apply<Sqrt>({}, {x}); }
Tensor rsqrt(const Tensor& x) { return apply<Rsqrt>({}, {x}); }
Tensor square(const Tensor& x) { return apply<Square>({}, {x}); }
Tensor reciprocal(const Tensor& x) { return apply<Reciprocal>({}, {x}); }

}  // namespace tapewire
