#include "core/ops/triangle.h"

#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/triangle.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"
#include "core/ops/slicing.h"

namespace tapewire {
namespace {

TensorSpecs infer_triangle(std::string_view op, Specs in) {
  if (in[0].dim() < 2) fail(op, ": ", op, ": input tensor must have at least 2 dimensions");
  return {{in[0].dtype, in[0].shape()}};
}

struct Tril {
  using Attrs = TriangleAttrs;
  static constexpr auto name = "tril";
  static constexpr auto doc = "matrices with zeros above a diagonal";
  static constexpr std::array inputs{input("input")};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs&, Specs in) { return infer_triangle(name, in); }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (!out[0].is_same(in[0])) kernels::copy(in[0], out[0]);
    kernels::clear_above_diagonal(out[0], a.diagonal);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {tril(v.grad(), a.diagonal)}; }
};

struct Triu {
  using Attrs = TriangleAttrs;
  static constexpr auto name = "triu";
  static constexpr auto doc = "matrices with zeros below a diagonal";
  static constexpr std::array inputs{input("input")};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs&, Specs in) { return infer_triangle(name, in); }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (!out[0].is_same(in[0])) kernels::copy(in[0], out[0]);
    kernels::clear_below_diagonal(out[0], a.diagonal);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {triu(v.grad(), a.diagonal)}; }
};

struct Diag {
  using Attrs = TriangleAttrs;
  static constexpr auto name = "diag";
  static constexpr auto doc = "a vector on a matrix's diagonal, or a matrix's diagonal as a vector";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (x.dim() == 2) return clone(diagonal(x, {.offset = a.diagonal}));
    if (x.dim() != 1) fail("diag: matrix or a vector expected, got ", x.dim(), " dimensions");
    int64_t size = 0;
    if (a.diagonal == std::numeric_limits<int64_t>::min() ||
        __builtin_add_overflow(x.numel(), a.diagonal < 0 ? -a.diagonal : a.diagonal, &size)) {
      fail("diag: diagonal ", a.diagonal, " overflows the matrix's size");
    }
    // A diagonal's gradient, too, is a matrix with nothing else on it.
    const Shape sizes{size, size};
    numel_of(sizes);
    return view_backward(x, views::diagonal(row_major(sizes), a.diagonal, 0, 1), sizes);
  }
};

struct Trace {
  using Attrs = NoAttrs;
  static constexpr auto name = "trace";
  static constexpr auto doc = "the sum of a matrix's main diagonal";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs&, Inputs in) {
    if (in[0].dim() != 2) fail("trace: expected a matrix, but got tensor with dim ", in[0].dim());
    return sum(diagonal(in[0]));
  }
};

const OpFamily kFamily{op_def<Tril>(), op_def<Triu>(), op_def<Diag>(), op_def<Trace>()};

}  // namespace

Tensor tril(const Tensor& x, int64_t diagonal) { return apply<Tril>({diagonal}, {x}); }
Tensor triu(const Tensor& x, int64_t diagonal) { return apply<Triu>({diagonal}, {x}); }
Tensor tril_(const Tensor& x, int64_t diagonal) { return apply_inplace<Tril>({diagonal}, {x}); }
Tensor triu_(const Tensor& x, int64_t diagonal) { return apply_inplace<Triu>({diagonal}, {x}); }
Tensor diag(const Tensor& x, int64_t diagonal) { return apply<Diag>({diagonal}, {x}); }
Tensor trace(const Tensor& x) { return apply<Trace>({}, {x}); }

}  // namespace tapewire
