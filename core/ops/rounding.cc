#include "core/ops/rounding.h"

#include "core/ops/elementwise_support.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

using kernels::UnaryOp;

struct Floor : NumericUnary<UnaryOp::kFloor> {
  static constexpr auto name = "floor";
  static constexpr auto doc = "the largest integer not above input";
  static Tensors vjp(const Attrs&, const Vjp& v) { return zero_gradients(v); }
};

struct Ceil : NumericUnary<UnaryOp::kCeil> {
  static constexpr auto name = "ceil";
  static constexpr auto doc = "the smallest integer not below input";
  static Tensors vjp(const Attrs&, const Vjp& v) { return zero_gradients(v); }
};

struct Trunc : NumericUnary<UnaryOp::kTrunc> {
  static constexpr auto name = "trunc";
  static constexpr auto doc = "input without its fraction";
  static Tensors vjp(const Attrs&, const Vjp& v) { return zero_gradients(v); }
};

struct Round : NumericUnary<UnaryOp::kRound> {
  using Attrs = RoundAttrs;
  static constexpr auto name = "round";
  static constexpr auto doc = "to the nearest integer, halves to even; or to `decimals` digits after the point";
  static constexpr std::array<std::string_view, 1> order{"input"};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (a.decimals != 0) check_floating(name, in[0].dtype);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (a.decimals != 0) return kernels::round(in[0], a.decimals, out[0]);
    kernels::unary(UnaryOp::kRound, in[0], out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return zero_gradients(v); }
};

struct Frac : NumericUnary<UnaryOp::kFrac> {
  static constexpr auto name = "frac";
  static constexpr auto doc = "the fraction of input, with its sign";
  static Tensors vjp(const Attrs&, const Vjp& v) { return {v.grad()}; }
};

const OpFamily kFamily{op_def<Floor>(), op_def<Ceil>(), op_def<Trunc>(), op_def<Round>(), op_def<Frac>()};

}  // namespace

Tensor floor(const Tensor& x) { return apply<Floor>({}, {x}); }
Tensor ceil(const Tensor& x) { return apply<Ceil>({}, {x}); }
Tensor trunc(const Tensor& x) { return apply<Trunc>({}, {x}); }
Tensor round(const Tensor& x, const RoundAttrs& attrs) { return apply<Round>(attrs, {x}); }
Tensor frac(const Tensor& x) { return apply<Frac>({}, {x}); }

}  // namespace tapewire
