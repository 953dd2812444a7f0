#include "core/ops/scan.h"

#include "core/kernels/scan.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction_support.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

constexpr std::array<std::string_view, 2> kDimOrder{"input", "dim"};

TensorSpecs scan_specs(std::string_view op, const ScanAttrs& a, const Spec& x) {
  wrap_dim(op, a.dim, x.dim());
  if (a.dtype == DType::kBool) fail(op, ": not implemented for dtype bool");
  return {{a.dtype ? *a.dtype : is_floating(x.dtype) ? x.dtype : DType::kInt64, x.shape()}};
}

// The sum from each element to the last.
struct ReverseCumsum {
  using Attrs = ScanAttrs;
  static constexpr auto name = "reverse_cumsum";
  static constexpr auto doc = "cumsum from the end to the beginning";
  static constexpr std::array inputs{input("input")};
  static constexpr auto order = kDimOrder;
  static TensorSpecs infer(const Attrs& a, Specs in) { return scan_specs(name, a, in[0]); }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Tensor x = a.dtype ? converted(in[0], *a.dtype) : in[0];
    kernels::cumsum(x, wrap_dim(name, a.dim, x.dim()), out[0], /*reverse=*/true);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {cumsum(v.grad(), {.dim = a.dim})}; }
};

struct Cumsum {
  using Attrs = ScanAttrs;
  static constexpr auto name = "cumsum";
  static constexpr auto doc = "running sum along dim; bool and integers sum to int64";
  static constexpr std::array inputs{input("input")};
  static constexpr auto order = kDimOrder;
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) { return scan_specs(name, a, in[0]); }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Tensor x = a.dtype ? converted(in[0], *a.dtype) : in[0];
    kernels::cumsum(x, wrap_dim(name, a.dim, x.dim()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {apply<ReverseCumsum>({.dim = a.dim}, {v.grad()})}; }
};

struct Cumprod {
  using Attrs = ScanAttrs;
  static constexpr auto name = "cumprod";
  static constexpr auto doc = "running product along dim; bool and integers multiply to int64";
  static constexpr std::array inputs{input("input")};
  static constexpr auto order = kDimOrder;
  static constexpr bool inplace = true;
  static constexpr std::array saves{save_input(0), save_output(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) { return scan_specs(name, a, in[0]); }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Tensor x = a.dtype ? converted(in[0], *a.dtype) : in[0];
    kernels::cumprod(x, wrap_dim(name, a.dim, x.dim()), out[0]);
  }
  // x[i] stands in y[k] for every k >= i, times the product before i and the product from i + 1 to k. The sum over k of
  // the latter with the cotangents obeys r[i] = g[i] + x[i + 1] r[i + 1]: no division, so zeros are nothing special.
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    if (g.dim() == 0) return {g};
    const Tensor before = shift(v.output(0), {.dim = a.dim, .by = 1, .fill = 1});
    const Tensor after = linear_recurrence(to(v.input(0), g.dtype()), g, {.dim = a.dim, .reverse = true});
    return {mul(before, after)};
  }
};

struct LinearRecurrence {
  using Attrs = RecurrenceAttrs;
  static constexpr auto name = "linear_recurrence";
  static constexpr auto doc = "y[i] = b[i] + a[i] y[i-1] along dim, or in reverse y[i] = b[i] + a[i+1] y[i+1]";
  static constexpr std::array inputs{input("a"), input("b")};
  static constexpr std::array saves{save_input(0), save_output(0).to_grad(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].dtype != in[1].dtype || in[0].shape() != in[1].shape()) {
      fail("linear_recurrence: expects a and b alike, got ", to_string(in[0]), " and ", to_string(in[1]));
    }
    if (!is_floating(in[0].dtype)) {
      fail("linear_recurrence: expects float32 or float64, got ", name_of(in[0].dtype));
    }
    wrap_dim(name, a.dim, in[0].dim());
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::linear_recurrence(in[0], in[1], wrap_dim(name, a.dim, in[0].dim()), a.reverse, out[0]);
  }
  // The cotangent runs the other way over the same links.
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor to_b = linear_recurrence(v.input(0), v.grad(), {.dim = a.dim, .reverse = !a.reverse});
    Tensors out{Tensor(), to_b};
    if (v.needs(0)) {
      const ShiftAttrs up{.dim = a.dim, .by = 1, .fill = 0};
      const Tensor y = v.output(0);
      out[0] = y.dim() == 0 ? mul(y, 0.0) : a.reverse ? mul(shift(to_b, up), y) : mul(to_b, shift(y, up));
    }
    return out;
  }
};

struct Shift {
  using Attrs = ShiftAttrs;
  static constexpr auto name = "shift";
  static constexpr auto doc = "elements moved along dim, others filled in where nothing moved to";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    wrap_dim(name, a.dim, in[0].dim());
    if (in[0].dim() == 0) fail("shift: expects a tensor with dimensions, got a 0-d one");
    if (!is_floating(in[0].dtype)) fail("shift: expects float32 or float64, got ", name_of(in[0].dtype));
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Tensor& x = in[0];
    const int64_t dim = wrap_dim(name, a.dim, x.dim());
    const int64_t size = x.size(dim);
    const int64_t up = std::clamp(a.by, -size, size);
    const auto part = [&](const Tensor& t, int64_t from, int64_t to) {
      return t.alias(views::slice(t.geometry(), dim, from, to, 1));
    };
    const Tensor& y = out[0];
    kernels::fill(up > 0 ? part(y, 0, up) : part(y, size + up, size), a.fill);
    kernels::copy(part(x, std::max<int64_t>(0, -up), size - std::max<int64_t>(0, up)),
                  part(y, std::max<int64_t>(0, up), size - std::max<int64_t>(0, -up)));
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const int64_t size = v.sizes(0)[static_cast<size_t>(wrap_dim(name, a.dim, v.grad().dim()))];
    return {shift(v.grad(), {.dim = a.dim, .by = -std::clamp(a.by, -size, size), .fill = 0})};
  }
};

const OpFamily kFamily{op_def<ReverseCumsum>(), op_def<Cumsum>(), op_def<Cumprod>(), op_def<LinearRecurrence>(),
                       op_def<Shift>()};

}  // namespace

Tensor cumsum(const Tensor& x, const ScanAttrs& attrs) { return apply<Cumsum>(attrs, {x}); }
Tensor cumprod(const Tensor& x, const ScanAttrs& attrs) { return apply<Cumprod>(attrs, {x}); }
Tensor linear_recurrence(const Tensor& a, const Tensor& b, const RecurrenceAttrs& attrs) {
  return apply<LinearRecurrence>(attrs, {a, b});
}
Tensor shift(const Tensor& x, const ShiftAttrs& attrs) { return apply<Shift>(attrs, {x}); }

}  // namespace tapewire
