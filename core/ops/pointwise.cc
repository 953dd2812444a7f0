#include "core/ops/pointwise.h"

#include "core/base/error.h"
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
    if (in[0].dtype == DType::kBool) fail("neg: Negation, the `-` operator, on a bool tensor is not supported.");
    return {{in[0].dtype, in[0].shape()}};
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {neg(v.grad())}; }
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
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return {Tensor::zeros(v.output_spec(0).shape, v.output_spec(0).dtype)};
  }
};

struct Exp : FloatUnary<UnaryOp::kExp> {
  static constexpr auto name = "exp";
  static constexpr auto doc = "e ** input";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), v.output(0))}; }
};

struct Log : FloatUnary<UnaryOp::kLog> {
  static constexpr auto name = "log";
  static constexpr auto doc = "natural logarithm";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), v.input(0))}; }
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

struct Square : NumericUnary<UnaryOp::kSquare> {
  static constexpr auto name = "square";
  static constexpr auto doc = "input * input";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(mul(v.grad(), 2.0), v.input(0))}; }
};

struct Reciprocal : FloatUnary<UnaryOp::kReciprocal> {
  static constexpr auto name = "reciprocal";
  static constexpr auto doc = "1 / input";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {neg(mul(v.grad(), square(v.output(0))))}; }
};

struct Sin : FloatUnary<UnaryOp::kSin> {
  static constexpr auto name = "sin";
  static constexpr auto doc = "sine of input in radians";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), cos(v.input(0)))}; }
};

struct Cos : FloatUnary<UnaryOp::kCos> {
  static constexpr auto name = "cos";
  static constexpr auto doc = "cosine of input in radians";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {neg(mul(v.grad(), sin(v.input(0))))}; }
};

const OpFamily kFamily{op_def<Neg>(),        op_def<Abs>(),  op_def<Sign>(),  op_def<Exp>(),
                       op_def<Log>(),        op_def<Sqrt>(), op_def<Rsqrt>(), op_def<Square>(),
                       op_def<Reciprocal>(), op_def<Sin>(),  op_def<Cos>()};

}  // namespace

Tensor neg(const Tensor& x) { return apply<Neg>({}, {x}); }
Tensor abs(const Tensor& x) { return apply<Abs>({}, {x}); }
Tensor sign(const Tensor& x) { return apply<Sign>({}, {x}); }
Tensor exp(const Tensor& x) { return apply<Exp>({}, {x}); }
Tensor log(const Tensor& x) { return apply<Log>({}, {x}); }
Tensor sqrt(const Tensor& x) { return apply<Sqrt>({}, {x}); }
Tensor rsqrt(const Tensor& x) { return apply<Rsqrt>({}, {x}); }
Tensor square(const Tensor& x) { return apply<Square>({}, {x}); }
Tensor reciprocal(const Tensor& x) { return apply<Reciprocal>({}, {x}); }
Tensor sin(const Tensor& x) { return apply<Sin>({}, {x}); }
Tensor cos(const Tensor& x) { return apply<Cos>({}, {x}); }

}  // namespace tapewire
