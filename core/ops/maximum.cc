#include "core/ops/maximum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

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

// Equal operands get half each; where one is NaN both get all, as in PyTorch. i and j: the two inputs.
Tensors extreme_shares(const Vjp& v, size_t i, size_t j, const Tensor& first_loses, const Tensor& second_loses) {
  const Tensor g = v.grad();
  const Tensor zero = zero_like(g);
  const Tensor shared = where(eq(v.input(i), v.input(j)), mul(g, 0.5), g);
  return {v.needs(i) ? where(first_loses, zero, shared) : Tensor(),
          v.needs(j) ? where(second_loses, zero, shared) : Tensor()};
}
Tensors greater_shares(const Vjp& v, size_t i, size_t j) {
  return extreme_shares(v, i, j, lt(v.input(i), v.input(j)), gt(v.input(i), v.input(j)));
}
Tensors lesser_shares(const Vjp& v, size_t i, size_t j) {
  return extreme_shares(v, i, j, gt(v.input(i), v.input(j)), lt(v.input(i), v.input(j)));
}

template <BinaryOp kOp>
struct Extreme : Binary<kOp> {
  static constexpr auto inputs = kTensorOperands;
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0), save_input(1)};
};
struct Maximum : Extreme<BinaryOp::kMaximum> {
  static constexpr auto name = "maximum";
  static constexpr auto doc = "the larger of input and other; NaN if either is";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return greater_shares(v, 0, 1); }
};
struct Minimum : Extreme<BinaryOp::kMinimum> {
  static constexpr auto name = "minimum";
  static constexpr auto doc = "the smaller of input and other; NaN if either is";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return lesser_shares(v, 0, 1); }
};

// Equal operands get half each; where one is NaN the other gets all, and the first where both are.
template <BinaryOp kOp>
struct NumberExtreme : Binary<kOp> {
  static constexpr auto inputs = kTensorOperands;
  static constexpr bool inplace = false;
  static constexpr std::array saves{save_input(0), save_input(1)};
  static Tensors picked(const Vjp& v, const Tensor& first_wins) {
    const Tensor g = v.grad();
    const Tensor zero = zero_like(g);
    const Tensor shared = where(eq(v.input(0), v.input(1)), mul(g, 0.5), zero);
    const Tensor first = logical_or(first_wins, isnan(v.input(1)));
    const Tensor second = logical_not(logical_or(first, eq(v.input(0), v.input(1))));
    return {v.needs(0) ? where(first, g, shared) : Tensor(), v.needs(1) ? where(second, g, shared) : Tensor()};
  }
};
struct Fmax : NumberExtreme<BinaryOp::kFmax> {
  static constexpr auto name = "fmax";
  static constexpr auto doc = "the larger of input and other; the other one if either is NaN";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return picked(v, gt(v.input(0), v.input(1))); }
};
struct Fmin : NumberExtreme<BinaryOp::kFmin> {
  static constexpr auto name = "fmin";
  static constexpr auto doc = "the smaller of input and other; the other one if either is NaN";
  static TensorSpecs infer(const Attrs&, Specs in) { return broadcast_specs(name, in); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return picked(v, lt(v.input(0), v.input(1))); }
};

// A bound that is one number, and not NaN.
std::optional<Scalar> number_of(const Tensor& bound) {
  if (bound.dim() > 0) return std::nullopt;
  const Scalar number = bound.item_scalar();
  return std::isnan(number.to<double>()) ? std::nullopt : std::optional(number);
}

// A bound in the common dtype: its end where the bound lies beyond it and changes nothing, refused where nothing would
// be left.
Scalar bound_in(std::string_view op, bool is_least, const Scalar& bound, DType common) {
  if (!is_integral(common)) return bound;
  return dispatch_all(common, [&]<class T>(TypeTag<T>) -> Scalar {
    using Limits = std::numeric_limits<T>;
    const auto value = bound.to<int64_t>();
    const auto most = static_cast<int64_t>(Limits::max());
    const auto least = static_cast<int64_t>(Limits::min());
    if (is_least ? value > most : value < least) {
      fail(op, ": Clamp ", is_least ? "min" : "max", " value ", value, " is outside the representable range of ",
           name_of(common));
    }
    return std::clamp(value, least, most);
  });
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
  static Scalar convert(size_t input, const Scalar& bound, DType common) {
    return bound_in(name, input == 1, bound, common);
  }
  static TensorSpecs infer(const Attrs&, Specs in) {
    if (!in[1].defined && !in[2].defined) fail("clamp: At least one of 'min' or 'max' must not be None");
    Shape sizes = in[0].shape();
    for (const size_t bound : {1, 2}) {
      if (in[bound].defined) sizes = broadcast_shapes(name, sizes, in[bound].sizes);
    }
    return {{in[0].dtype, sizes}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { raise_and_lower(in[0], in[1], in[2], out[0]); }
  // Numbers: the slope at a bound is 0.
  static Tensor between(const Vjp& v) {
    const Tensor x = v.input(0);
    const Tensor low = v.input(1);
    const Tensor high = v.input(2);
    if (!low.defined()) return lt(x, high);
    return high.defined() ? logical_and(gt(x, low), lt(x, high)) : gt(x, low);
  }
  // Tensors: input shares with the bound that it meets; between two equal ones it is all input's. With min > max it is
  // all max's. What is compared with NaN is not beyond it.
  static Tensors shares(const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor zero = zero_like(g);
    const Tensor half = mul(g, 0.5);
    const Tensor x = v.input(0);
    const Tensor low = v.input(1);
    const Tensor high = v.input(2);
    const Tensor on_low = logical_and(eq(x, low), lt(x, high));
    const Tensor on_high = logical_and(eq(x, high), gt(x, low));
    const Tensor beyond = logical_or(lt(x, low), gt(x, high));
    const auto part = [&](const Tensor& all, const Tensor& some) { return where(all, g, where(some, half, zero)); };
    Tensors out(3);
    if (v.needs(0)) out[0] = where(beyond, zero, where(logical_or(on_low, on_high), half, g));
    if (v.needs(1)) out[1] = part(logical_and(lt(x, low), le(low, high)), on_low);
    if (v.needs(2)) out[2] = part(logical_or(gt(low, high), logical_and(gt(x, high), le(low, high))), on_high);
    return out;
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor low = v.input(1);
    const Tensor high = v.input(2);
    if (v.is_number(low.defined() ? 1 : 2))
      return {where(between(v), v.grad(), zero_like(v.grad())), Tensor(), Tensor()};
    if (low.defined() && high.defined()) return shares(v);
    const Tensors both = low.defined() ? greater_shares(v, 0, 1) : lesser_shares(v, 0, 2);
    return low.defined() ? Tensors{both[0], both[1], Tensor()} : Tensors{both[0], Tensor(), both[1]};
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
  static Scalar convert(size_t, const Scalar& bound, DType common) { return bound_in(name, true, bound, common); }
  static void eval(const Attrs&, Inputs in, Outputs out) { raise_and_lower(in[0], in[1], {}, out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    if (!v.is_number(1)) return greater_shares(v, 0, 1);
    return {where(gt(v.input(0), v.input(1)), v.grad(), zero_like(v.grad())), Tensor()};
  }
};
struct ClampMax : OneBound<ClampMax> {
  static constexpr auto name = "clamp_max";
  static constexpr auto doc = "min(input, max)";
  static constexpr std::array inputs{input("input").no_number(), input("max")};
  static Scalar convert(size_t, const Scalar& bound, DType common) { return bound_in(name, false, bound, common); }
  static void eval(const Attrs&, Inputs in, Outputs out) { raise_and_lower(in[0], {}, in[1], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    if (!v.is_number(1)) return lesser_shares(v, 0, 1);
    return {where(lt(v.input(0), v.input(1)), v.grad(), zero_like(v.grad())), Tensor()};
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
