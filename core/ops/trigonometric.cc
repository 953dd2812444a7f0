#include "core/ops/trigonometric.h"

#include "core/ops/arithmetic.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::BinaryOp;
using kernels::UnaryOp;

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

struct Tan : FloatUnary<UnaryOp::kTan> {
  static constexpr auto name = "tan";
  static constexpr auto doc = "tangent of input in radians";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), add(square(v.output(0)), 1.0))}; }
};

struct Asin : FloatUnary<UnaryOp::kAsin> {
  static constexpr auto name = "asin";
  static constexpr auto doc = "inverse sine";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), rsqrt(1.0 - square(v.input(0))))}; }
};

struct Acos : FloatUnary<UnaryOp::kAcos> {
  static constexpr auto name = "acos";
  static constexpr auto doc = "inverse cosine";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {neg(mul(v.grad(), rsqrt(1.0 - square(v.input(0)))))}; }
};

struct Atan : FloatUnary<UnaryOp::kAtan> {
  static constexpr auto name = "atan";
  static constexpr auto doc = "inverse tangent";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), add(square(v.input(0)), 1.0))}; }
};

struct Sinh : FloatUnary<UnaryOp::kSinh> {
  static constexpr auto name = "sinh";
  static constexpr auto doc = "hyperbolic sine";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), cosh(v.input(0)))}; }
};

struct Cosh : FloatUnary<UnaryOp::kCosh> {
  static constexpr auto name = "cosh";
  static constexpr auto doc = "hyperbolic cosine";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), sinh(v.input(0)))}; }
};

struct Asinh : FloatUnary<UnaryOp::kAsinh> {
  static constexpr auto name = "asinh";
  static constexpr auto doc = "inverse hyperbolic sine";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), rsqrt(add(square(v.input(0)), 1.0)))}; }
};

struct Acosh : FloatUnary<UnaryOp::kAcosh> {
  static constexpr auto name = "acosh";
  static constexpr auto doc = "inverse hyperbolic cosine";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), rsqrt(sub(square(v.input(0)), 1.0)))}; }
};

struct Atanh : FloatUnary<UnaryOp::kAtanh> {
  static constexpr auto name = "atanh";
  static constexpr auto doc = "inverse hyperbolic tangent";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), 1.0 - square(v.input(0)))}; }
};

struct Atan2 : Binary<BinaryOp::kAtan2> {
  static constexpr auto name = "atan2";
  static constexpr auto inputs = kTensorOperands;
  static constexpr auto doc = "the angle of the point (other, input) in radians, -pi to pi";
  static constexpr auto promotion = Promotion::kFloat;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor y = v.input(0);
    const Tensor x = v.input(1);
    // By the distance twice, whose square may over- or underflow; 0 at the origin, where there is no angle.
    const Tensor distance = hypot(y, x);
    const Tensor at_origin = eq(distance, 0);
    const Tensor one = Tensor::scalar(1.0, distance.dtype());
    const Tensor r = where(at_origin, one, distance);
    const Tensor g = v.grad();
    return {v.needs(0) ? mul(g, div(div(x, r), r)) : Tensor(), v.needs(1) ? neg(mul(g, div(div(y, r), r))) : Tensor()};
  }
};

struct Hypot : Binary<BinaryOp::kHypot> {
  static constexpr auto name = "hypot";
  static constexpr auto inputs = kTensorOperands;
  static constexpr auto doc = "sqrt(input ** 2 + other ** 2) without overflow";
  static constexpr std::array saves{save_input(0).to_grad(0), save_input(1).to_grad(1), save_output(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_floating(name, in[0].dtype);
    return broadcast_specs(name, in);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    return {v.needs(0) ? mul(g, div(v.input(0), v.output(0))) : Tensor(),
            v.needs(1) ? mul(g, div(v.input(1), v.output(0))) : Tensor()};
  }
};

const OpFamily kFamily{op_def<Sin>(),   op_def<Cos>(),   op_def<Tan>(),  op_def<Asin>(),  op_def<Acos>(),
                       op_def<Atan>(),  op_def<Sinh>(),  op_def<Cosh>(), op_def<Asinh>(), op_def<Acosh>(),
                       op_def<Atanh>(), op_def<Atan2>(), op_def<Hypot>()};

}  // namespace

Tensor sin(const Tensor& x) { return apply<Sin>({}, {x}); }
Tensor cos(const Tensor& x) { return apply<Cos>({}, {x}); }
Tensor tan(const Tensor& x) { return apply<Tan>({}, {x}); }
Tensor asin(const Tensor& x) { return apply<Asin>({}, {x}); }
Tensor acos(const Tensor& x) { return apply<Acos>({}, {x}); }
Tensor atan(const Tensor& x) { return apply<Atan>({}, {x}); }
Tensor sinh(const Tensor& x) { return apply<Sinh>({}, {x}); }
Tensor cosh(const Tensor& x) { return apply<Cosh>({}, {x}); }
Tensor asinh(const Tensor& x) { return apply<Asinh>({}, {x}); }
Tensor acosh(const Tensor& x) { return apply<Acosh>({}, {x}); }
Tensor atanh(const Tensor& x) { return apply<Atanh>({}, {x}); }
Tensor atan2(const Tensor& y, const Tensor& x) { return apply<Atan2>({}, {y, x}); }
Tensor hypot(const Tensor& x, const Tensor& other) { return apply<Hypot>({}, {x, other}); }

}  // namespace tapewire
