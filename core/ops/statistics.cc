#include "core/ops/statistics.h"

#include "core/kernels/reduce.h"
#include "core/kernels/unary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/call_support.h"
#include "core/ops/reduction.h"
#include "core/ops/reduction_support.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

struct MomentsAttrs {
  Shape dim;
  bool keepdim = false;
  double correction = 1;
  static constexpr auto fields() {
    return std::tuple{field("dim", &MomentsAttrs::dim, "dimensions to reduce; empty: all"),
                      field("keepdim", &MomentsAttrs::keepdim, "leave reduced dimensions as ones"),
                      field("correction", &MomentsAttrs::correction, "the divisor is the count less this")};
  }
};

// Both moments of one pass: the spread (variance or standard deviation), and the mean that it is about.
template <bool kStd>
struct Moments {
  using Attrs = MomentsAttrs;
  static constexpr auto name = kStd ? "native_std_mean" : "native_var_mean";
  static constexpr auto doc = kStd ? "the standard deviation and the mean" : "the variance and the mean";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output(kStd ? "std" : "var"), output("mean")};
  static constexpr std::array saves{save_input(0), save_output(0), save_output(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (!is_floating(in[0].dtype)) {
      fail(name, ": std and var only support floating point and complex dtypes, got ", name_of(in[0].dtype));
    }
    const TensorSpec spec{in[0].dtype, reduced_sizes(in[0].sizes, wrap_dims(name, a.dim, in[0].dim()), a.keepdim)};
    return {spec, spec};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::var(in[0], wrap_dims(name, a.dim, in[0].dim()), a.correction, out[0], out[1]);
    if constexpr (kStd) kernels::unary(kernels::UnaryOp::kSqrt, out[0], out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor x = v.input(0);
    const Shape dims = wrap_dims(name, a.dim, x.dim());
    const auto count = static_cast<double>(count_reduced(x.sizes(), dims));
    const auto restored = [&](const Tensor& t) { return restore_reduced(t, x.sizes(), dims, a.keepdim); };
    Tensor out;
    if (v.has_grad(0)) {
      Tensor g = mul(v.grad(0), 2 / (count - a.correction));
      if constexpr (kStd) {
        const Tensor y = v.output(0);
        const Tensor flat = eq(y, 0);
        const Tensor zero = Tensor::scalar(0.0, y.dtype());
        g = where(flat, zero, div(mul(g, 0.5), where(flat, Tensor::scalar(1.0, y.dtype()), y)));
      }
      out = mul(restored(g), sub(x, restored(v.output(1))));
    }
    if (v.has_grad(1)) {
      const Tensor each = expand_reduced(div(v.grad(1), count), x.sizes(), dims, a.keepdim);
      out = out.defined() ? add(out, each) : each;
    }
    return {out};
  }
};

MomentsAttrs moments_attrs(std::string_view op, const VarAttrs& a) {
  if (a.unbiased && a.correction) fail(op, ": takes unbiased or correction, not both");
  MomentsAttrs out;
  if (a.dim) out.dim = *a.dim;
  out.keepdim = a.keepdim;
  out.correction = a.unbiased ? (*a.unbiased ? 1 : 0) : a.correction.value_or(1);
  return out;
}

template <bool kStd>
Tensors moments(std::string_view op, const Tensor& x, const VarAttrs& attrs) {
  if (!is_floating(x.dtype())) {
    fail(op, ": std and var only support floating point and complex dtypes, got ", name_of(x.dtype()));
  }
  return apply_all<Moments<kStd>>(moments_attrs(op, attrs), {x});
}

// The four public ones.
template <bool kStd, bool kMean>
struct Spread {
  using Attrs = VarAttrs;
  static constexpr auto name = kMean ? (kStd ? "std_mean" : "var_mean") : (kStd ? "std" : "var");
  static constexpr auto doc =
      kMean ? (kStd ? "the standard deviation over dim, and the mean" : "the variance over dim, and the mean")
            : (kStd ? "the standard deviation over dim" : "the variance over dim");
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 4> order{"input", "dim", "unbiased", "keepdim"};
  static constexpr bool differentiable = true;
  static Value call(const AttributeMap& arguments) {
    AttributeMap plain = arguments;
    const Value dim = CallArguments(name, plain).value("dim");
    if (dim.is_bool()) {
      if (plain.contains("unbiased")) fail(name, ": argument 'unbiased' is given twice");
      plain.erase("dim");
      plain["unbiased"] = dim;
    }
    const Tensor x = CallArguments(name, arguments).operand("input");
    const Tensors both = moments<kStd>(name, x, CallArguments(name, plain).attributes<VarAttrs>({"input"}));
    if constexpr (kMean) return Tuple{both[0], both[1]};
    return both[0];
  }
};

const OpFamily kFamily{op_def<Moments<false>>(),      op_def<Moments<true>>(),       op_def<Spread<false, false>>(),
                       op_def<Spread<true, false>>(), op_def<Spread<false, true>>(), op_def<Spread<true, true>>()};

}  // namespace

Tensor var(const Tensor& x, const VarAttrs& attrs) { return moments<false>("var", x, attrs)[0]; }
Tensor std(const Tensor& x, const VarAttrs& attrs) { return moments<true>("std", x, attrs)[0]; }
std::pair<Tensor, Tensor> var_mean(const Tensor& x, const VarAttrs& attrs) {
  const Tensors both = moments<false>("var_mean", x, attrs);
  return {both[0], both[1]};
}
std::pair<Tensor, Tensor> std_mean(const Tensor& x, const VarAttrs& attrs) {
  const Tensors both = moments<true>("std_mean", x, attrs);
  return {both[0], both[1]};
}

}  // namespace tapewire
