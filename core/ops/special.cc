#include "core/ops/special.h"

#include <numbers>

#include "core/ops/arithmetic.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/pointwise.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::UnaryOp;

struct Erf : FloatUnary<UnaryOp::kErf> {
  static constexpr auto name = "erf";
  static constexpr auto doc = "the error function";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return {mul(v.grad(), mul(exp(neg(square(v.input(0)))), 2 * std::numbers::inv_sqrtpi))};
  }
};

struct Erfc : FloatUnary<UnaryOp::kErfc> {
  static constexpr auto name = "erfc";
  static constexpr auto doc = "1 - erf(input), exact far out";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return {mul(v.grad(), mul(exp(neg(square(v.input(0)))), -2 * std::numbers::inv_sqrtpi))};
  }
};

struct Lgamma : FloatUnary<UnaryOp::kLgamma> {
  static constexpr auto name = "lgamma";
  static constexpr auto doc = "log |gamma(input)|";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), digamma(v.input(0)))}; }
};

struct Digamma : FloatUnary<UnaryOp::kDigamma> {
  static constexpr auto name = "digamma";
  static constexpr auto doc = "the derivative of lgamma";
  static constexpr std::array saves{save_input(0)};
  static Tensors vjp(const Attrs&, const Vjp& v) { return {mul(v.grad(), polygamma(1, v.input(0)))}; }
};

struct Polygamma : FloatUnary<UnaryOp::kDigamma> {
  using Attrs = PolygammaAttrs;
  static constexpr auto name = "polygamma";
  static constexpr auto doc = "the n-th derivative of digamma";
  static constexpr std::array<std::string_view, 2> order{"n", "input"};
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (a.n < 0) fail("polygamma: polygamma(n, x) does not support negative n.");
    if (a.n > std::numeric_limits<int32_t>::max()) fail("polygamma: expects n below 2 ** 31, got ", a.n);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) { kernels::polygamma(a.n, in[0], out[0]); }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {mul(v.grad(), polygamma(a.n + 1, v.input(0)))}; }
};

const OpFamily kFamily{op_def<Erf>(), op_def<Erfc>(), op_def<Lgamma>(), op_def<Digamma>(), op_def<Polygamma>()};

}  // namespace

Tensor erf(const Tensor& x) { return apply<Erf>({}, {x}); }
Tensor erfc(const Tensor& x) { return apply<Erfc>({}, {x}); }
Tensor lgamma(const Tensor& x) { return apply<Lgamma>({}, {x}); }
Tensor digamma(const Tensor& x) { return apply<Digamma>({}, {x}); }
Tensor polygamma(int64_t n, const Tensor& x) { return apply<Polygamma>({n}, {x}); }

}  // namespace tapewire
