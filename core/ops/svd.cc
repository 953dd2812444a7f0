#include "core/ops/svd.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/kernels/svd.h"
#include "core/ops/arithmetic.h"
#include "core/ops/creation.h"
#include "core/ops/op.h"
#include "core/ops/pointwise.h"
#include "core/ops/product.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

Tensor turned(const Tensor& x) { return transpose(x, 1, 2); }
Tensor as_rows(const Tensor& s) { return unsqueeze(s, 1); }     // [b, 1, k]: scales columns
Tensor as_columns(const Tensor& s) { return unsqueeze(s, 2); }  // [b, k, 1]: scales rows

// Townsend, "Differentiating the singular value decomposition" (2016).
struct Svd {
  using Attrs = NoAttrs;
  static constexpr auto name = "thin_svd";
  static constexpr auto doc = "the singular value decomposition of matrices [b, m, n]";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("u"), output("s"), output("vh")};
  static constexpr std::array saves{save_output(0), save_output(1), save_output(2)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    const Spec& x = in[0];
    if (x.dim() != 3) fail("thin_svd: expects matrices [b, m, n], got ", to_string(x));
    if (!is_floating(x.dtype)) fail("thin_svd: expects float32 or float64, got ", name_of(x.dtype));
    const int64_t k = std::min(x.size(1), x.size(2));
    return {{x.dtype, {x.size(0), x.size(1), k}}, {x.dtype, {x.size(0), k}}, {x.dtype, {x.size(0), k, x.size(2)}}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::svd(in[0], out[0], out[1], out[2]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor u = v.output(0);
    const Tensor s = v.output(1);
    const Tensor vh = v.output(2);
    const int64_t k = s.size(1);
    Tensor out = v.has_grad(1) ? bmm(mul(u, as_rows(v.grad(1))), vh) : Tensor();
    const auto gather = [&](const Tensor& part) { out = out.defined() ? add(out, part) : part; };
    if (!v.has_grad(0) && !v.has_grad(2)) return {out};

    // s_j^2 - s_i^2, and ones on the diagonal, where the numerators are zeros.
    const Tensor squares = square(s);
    const Tensor diagonal = eye({.n = k, .dtype = s.dtype()});
    const Tensor gaps = add(sub(as_rows(squares), as_columns(squares)), diagonal);
    const auto skew_over_gaps = [&](const Tensor& t) { return div(sub(t, turned(t)), gaps); };
    if (v.has_grad(0)) {
      const Tensor g = v.grad(0);
      gather(bmm(bmm(u, mul(skew_over_gaps(bmm(turned(u), g)), as_rows(s))), vh));
      if (u.size(1) > k) {
        const Tensor scaled = div(g, as_rows(s));
        gather(bmm(sub(scaled, bmm(u, bmm(turned(u), scaled))), vh));
      }
    }
    if (v.has_grad(2)) {
      const Tensor g = v.grad(2);
      gather(bmm(bmm(u, mul(as_columns(s), skew_over_gaps(bmm(vh, turned(g))))), vh));
      if (vh.size(2) > k) {
        const Tensor scaled = div(g, as_columns(s));
        gather(bmm(u, sub(scaled, bmm(bmm(scaled, turned(vh)), vh))));
      }
    }
    return {out};
  }
};

const OpFamily kFamily{op_def<Svd>()};

}  // namespace

ThinSvd thin_svd(const Tensor& x) {
  const Tensors parts = apply_all<Svd>({}, {x});
  return {parts[0], parts[1], parts[2]};
}

}  // namespace tapewire
