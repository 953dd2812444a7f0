#include "core/ops/maximum.h"

#include <cmath>

#include "core/kernels/ternary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/elementwise_support.h"
#include "core/ops/registry.h"
#include "core/ops/selection.h"

namespace tapewire {
namespace {

using kernels::BinaryOp;

Tensor zero_like(const Tensor& g) { return Tensor::scalar(0.0, g.dtype()); }

// Equal operands get half each; where one is NaN both get all, as in PyTorch.
template <BinaryOp kOp>
struct Extreme : Binary<kOp> {
  static constexpr auto inputs = kTensorOperands;
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static Tensors shares(const Vjp& v, const Tensor& first_loses, const Tensor& second_loses) {
    const Tensor g = v.grad();
    const Tensor zero = zero_like(g);
    const Tensor shared = where(eq(v.input(0), v.input(1)), mul(g, 0.5), g);
    return {v.needs(0) ? where(first_loses, zero, shared) : Tensor(),
            v.needs(1) ? where(second_loses, zero, shared) : Tensor()};
  }
};
struct Maximum : Extreme<BinaryOp::kMaximum> {
  static constexpr auto name = "maximum";
  static constexpr auto doc = "the larger of input and other; NaN if either is";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return shares(v, lt(v.input(0), v.input(1)), gt(v.input(0), v.input(1)));
  }
};
struct Minimum : Extreme<BinaryOp::kMinimum> {
  static constexpr auto name = "minimum";
  static constexpr auto doc = "the smaller of input and other; NaN if either is";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return shares(v, gt(v.input(0), v.input(1)), lt(v.input(0), v.input(1)));
  }
};

// One operand is picked, the first of equal ones; it gets the gradient.
template <BinaryOp kOp>
struct NumberExtreme : Binary<kOp> {
  static constexpr auto inputs = kTensorOperands;
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static Tensors picked(const Vjp& v, const Tensor& first_wins) {
    const Tensor g = v.grad();
    const Tensor zero = zero_like(g);
    const Tensor first = logical_or(first_wins, isnan(v.input(1)));
    return {v.needs(0) ? where(first, g, zero) : Tensor(), v.needs(1) ? where(first, zero, g) : Tensor()};
  }
};
struct Fmax : NumberExtreme<BinaryOp::kFmax> {
  static constexpr auto name = "fmax";
  static constexpr auto doc = "the larger of input and other; the other one if either is NaN";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return picked(v, ge(v.input(0), v.input(1))); }
};
struct Fmin : NumberExtreme<BinaryOp::kFmin> {
  static constexpr auto name = "fmin";
  static constexpr auto doc = "the smaller of input and other; the other one if either is NaN";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return picked(v, le(v.input(0), v.input(1))); }
};

// A bound that is one number, and not NaN.
std::optional<Scalar> number_of(const Tensor& bound) {
  if (bound.dim() > 0) return std::nullopt;
  const Scalar number = bound.item_scalar();
  return std::isnan(number.to<double>()) ? std::nullopt : std::optional(number);
}

void raise_and_lower(const Tensor& x, const Tensor& low, const Tensor& high, const Tensor& out) {
  std::optional<Scalar> least;
  std::optional<Scalar> most;
  if (low.defined()) least = number_of(low);
  if (high.defined()) most = number_of(high);
  if (least.has_value() == low.defined() && most.has_value() == high.defined() && x.dtype() != DType::kBool) {
    return kernels::clamp(x, least, most, out);
  }
  Tensor raised = x;
  if (low.defined()) {
    // In place, high may be what out replaces.
    raised = high.defined() ? Tensor::empty(out.sizes(), out.dtype()) : out;
    kernels::binary(BinaryOp::kMaximum, x, low, raised);
  }
  if (high.defined()) kernels::binary(BinaryOp::kMinimum, raised, high, out);
}

struct Clamp {
  using Attrs = NoAttrs;
  static constexpr auto name = "clamp";
  static constexpr auto doc = "min(max(input, min), max); either may be none, both may be numbers or tensors";
  static constexpr std::array inputs{input("input").no_number(), optional_input("min"), optional_input("max")};
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(0), save_input(1), save_input(2)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (!in[1].defined && !in[2].defined) fail("clamp: At least one of 'min' or 'max' must not be None");
    Shape sizes = in[0].shape();
    for (const size_t bound : {1, 2}) {
      if (in[bound].defined) sizes = broadcast_shapes(name, sizes, in[bound].sizes);
    }
    return {{in[0].dtype, sizes}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { raise_and_lower(in[0], in[1], in[2], out[0]); }
  // An edge itself passes the gradient on to input. With min > max it is all max's.
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor zero = zero_like(g);
    const Tensor x = v.input(0);
    const Tensor low = v.input(1);
    const Tensor high = v.input(2);
    Tensors out(3);
    if (v.needs(0)) {
      Tensor inside;
      if (low.defined()) inside = ge(x, low);
      if (high.defined()) inside = inside.defined() ? logical_and(inside, le(x, high)) : le(x, high);
      out[0] = where(inside, g, zero);
    }
    if (v.needs(1)) {
      const Tensor below = lt(x, low);
      out[1] = where(high.defined() ? logical_and(below, lt(low, high)) : below, g, zero);
    }
    if (v.needs(2)) {
      const Tensor above = gt(x, high);
      out[2] = where(low.defined() ? logical_or(above, lt(high, low)) : above, g, zero);
    }
    return out;
  }
};

template <class Op>
struct OneBound {
  using Attrs = NoAttrs;
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(Op::name, in); }
};
struct ClampMin : OneBound<ClampMin> {
  static constexpr auto name = "clamp_min";
  static constexpr auto doc = "max(input, min)";
  static constexpr std::array inputs{input("input").no_number(), input("min")};
  static void eval(const Attrs&, Inputs in, Outputs out) { raise_and_lower(in[0], in[1], {}, out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor zero = zero_like(g);
    return {v.needs(0) ? where(ge(v.input(0), v.input(1)), g, zero) : Tensor(),
            v.needs(1) ? where(lt(v.input(0), v.input(1)), g, zero) : Tensor()};
  }
};
struct ClampMax : OneBound<ClampMax> {
  static constexpr auto name = "clamp_max";
  static constexpr auto doc = "min(input, max)";
  static constexpr std::array inputs{input("input").no_number(), input("max")};
  static void eval(const Attrs&, Inputs in, Outputs out) { raise_and_lower(in[0], {}, in[1], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor zero = zero_like(g);
    return {v.needs(0) ? where(le(v.input(0), v.input(1)), g, zero) : Tensor(),
            v.needs(1) ? where(gt(v.input(0), v.input(1)), g, zero) : Tensor()};
  }
};

const OpFamily kFamily{op_def<Maximum>(), op_def<Minimum>(),  op_def<Fmax>(),    op_def<Fmin>(),
                       op_def<Clamp>(),   op_def<ClampMin>(), op_def<ClampMax>()};

}  // namespace

Tensor maximum(const Tensor& x, const Tensor& other) { return apply<Maximum>({}, {x, other}); }
Tensor minimum(const Tensor& x, const Tensor& other) { return apply<Minimum>({}, {x, other}); }
Tensor fmax(const Tensor& x, const Tensor& other) { return apply<Fmax>({}, {x, other}); }
Tensor fmin(const Tensor& x, const Tensor& other) { return apply<Fmin>({}, {x, other}); }
Tensor clamp(const Tensor& x, const Tensor& min, const Tensor& max) { return apply<Clamp>({}, {x, min, max}); }
Tensor clamp(const Tensor& x, const std::optional<Scalar>& min, const std::optional<Scalar>& max) {
  return clamp(x, min ? Tensor::wrapped(*min) : Tensor(), max ? Tensor::wrapped(*max) : Tensor());
}
Tensor clamp_min(const Tensor& x, const Tensor& min) { return apply<ClampMin>({}, {x, min}); }
Tensor clamp_max(const Tensor& x, const Tensor& max) { return apply<ClampMax>({}, {x, max}); }

}  // namespace tapewire
