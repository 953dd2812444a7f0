#include "core/ops/exponential.h"

#include <numbers>

#include "core/ops/arithmetic.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::BinaryOp;
using kernels::UnaryOp;

struct Exp : FloatUnary<UnaryOp::kExp> {
  static constexpr auto name = "exp";
  static constexpr auto doc = "e ** input";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), v.output(0))}; }
};

struct Exp2 : FloatUnary<UnaryOp::kExp2> {
  static constexpr auto name = "exp2";
  static constexpr auto doc = "2 ** input";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(mul(v.grad(), v.output(0)), std::numbers::ln2)}; }
};

struct Expm1 : FloatUnary<UnaryOp::kExpm1> {
  static constexpr auto name = "expm1";
  static constexpr auto doc = "e ** input - 1, exact near 0";
  static constexpr std::array saves{save_output(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), add(v.output(0), 1.0))}; }
};

struct Log : FloatUnary<UnaryOp::kLog> {
  static constexpr auto name = "log";
  static constexpr auto doc = "natural logarithm";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), v.input(0))}; }
};

struct Log2 : FloatUnary<UnaryOp::kLog2> {
  static constexpr auto name = "log2";
  static constexpr auto doc = "logarithm to base 2";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), mul(v.input(0), std::numbers::ln2))}; }
};

struct Log10 : FloatUnary<UnaryOp::kLog10> {
  static constexpr auto name = "log10";
  static constexpr auto doc = "logarithm to base 10";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), mul(v.input(0), std::numbers::ln10))}; }
};

struct Log1p : FloatUnary<UnaryOp::kLog1p> {
  static constexpr auto name = "log1p";
  static constexpr auto doc = "log(1 + input), exact near 0";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {div(v.grad(), add(v.input(0), 1.0))}; }
};

struct Logaddexp : Binary<BinaryOp::kLogaddexp> {
  static constexpr auto name = "logaddexp";
  static constexpr auto inputs = kTensorOperands;
  static constexpr auto doc = "log(exp(input) + exp(other)) without overflow";
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_floating(name, in[0].dtype);
    return broadcast_specs(name, in);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor difference = sub(v.input(1), v.input(0));
    return {v.needs(0) ? div(g, add(exp(difference), 1.0)) : Tensor(),
            v.needs(1) ? div(g, add(exp(neg(difference)), 1.0)) : Tensor()};
  }
};

struct Logaddexp2 : Binary<BinaryOp::kLogaddexp2> {
  static constexpr auto name = "logaddexp2";
  static constexpr auto inputs = kTensorOperands;
  static constexpr auto doc = "log2(2 ** input + 2 ** other) without overflow";
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_floating(name, in[0].dtype);
    return broadcast_specs(name, in);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor difference = sub(v.input(1), v.input(0));
    return {v.needs(0) ? div(g, add(exp2(difference), 1.0)) : Tensor(),
            v.needs(1) ? div(g, add(exp2(neg(difference)), 1.0)) : Tensor()};
  }
};

const OpFamily kFamily{op_def<Exp>(),   op_def<Exp2>(),  op_def<Expm1>(),     op_def<Log>(),       op_def<Log2>(),
                       op_def<Log10>(), op_def<Log1p>(), op_def<Logaddexp>(), op_def<Logaddexp2>()};

}  // namespace

Tensor exp(const Tensor& x) { return apply<Exp>({}, {x}); }
Tensor exp2(const Tensor& x) { return apply<Exp2>({}, {x}); }
Tensor expm1(const Tensor& x) { return apply<Expm1>({}, {x}); }
Tensor log(const Tensor& x) { return apply<Log>({}, {x}); }
Tensor log2(const Tensor& x) { return apply<Log2>({}, {x}); }
Tensor log10(const Tensor& x) { return apply<Log10>({}, {x}); }
Tensor log1p(const Tensor& x) { return apply<Log1p>({}, {x}); }
Tensor logaddexp(const Tensor& x, const Tensor& other) { return apply<Logaddexp>({}, {x, other}); }
Tensor logaddexp2(const Tensor& x, const Tensor& other) { return apply<Logaddexp2>({}, {x, other}); }

}  // namespace tapewire
