#include "core/ops/slicing.h"

#include <limits>

#include "core/ops/call_support.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

// Each gives its geometry from that of any input; its gradient adds to where the view of a row-major input lies.

struct Select {
  using Attrs = SelectAttrs;
  static constexpr auto name = "select";
  static constexpr auto doc = "one slice of a dimension, without it, as a view";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return views::select(x.geometry(), a.dim, a.index); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    return {view_backward(v.grad(), views::select(row_major(v.sizes(0)), a.dim, a.index), v.sizes(0))};
  }
};

struct SliceOp {
  using Attrs = SliceAttrs;
  static constexpr auto name = "slice";
  static constexpr auto doc = "start to end of a dimension by step, as a view";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return place(a, x.geometry()); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    return {view_backward(v.grad(), place(a, row_major(v.sizes(0))), v.sizes(0))};
  }

 private:
  static Geometry place(const Attrs& a, const Geometry& from) {
    return views::slice(from, a.dim, a.start.value_or(0), a.end.value_or(std::numeric_limits<int64_t>::max()), a.step);
  }
};

struct NarrowAttrs {
  int64_t dim = 0;
  Value start;
  int64_t length = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &NarrowAttrs::dim, "the dimension to cut"),
                      required_field("start", &NarrowAttrs::start, "first index, an int or a 0-d integer tensor"),
                      required_field("length", &NarrowAttrs::length, "how many")};
  }
};

struct Narrow {
  using Attrs = NarrowAttrs;
  static constexpr auto name = "narrow";
  static constexpr auto doc = "length slices of a dimension from start on, as a view";
  static constexpr std::array inputs{input("input")};
  static constexpr bool differentiable = true;
  static Value call(const AttributeMap& all) {
    const CallArguments arguments(name, all);
    const Value& start = arguments.value("start");
    int64_t first = 0;
    if (start.is_tensor()) {
      if (start.tensor().dim() != 0 || !is_integral(start.tensor().dtype())) {
        fail("narrow: start must be an 0-dim integral Tensor.");
      }
      first = start.tensor().item<int64_t>();
    } else {
      first = arguments.integer("start", 0);
    }
    return narrow(arguments.tensor("input"), arguments.integer("dim", 0), first, arguments.integer("length", 0));
  }
};

struct Diagonal {
  using Attrs = DiagonalAttrs;
  static constexpr auto name = "diagonal";
  static constexpr auto doc = "the diagonals of two dimensions as a last one, as a view";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) {
    return views::diagonal(x.geometry(), a.offset, a.dim1, a.dim2);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    return {view_backward(v.grad(), views::diagonal(row_major(v.sizes(0)), a.offset, a.dim1, a.dim2), v.sizes(0))};
  }
};

struct Unfold {
  using Attrs = UnfoldAttrs;
  static constexpr auto name = "unfold";
  static constexpr auto doc = "windows along a dimension, which may overlap, as a view (Tensor.unfold)";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) {
    return views::unfold(x.geometry(), a.dimension, a.size, a.step);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    return {view_backward(v.grad(), views::unfold(row_major(v.sizes(0)), a.dimension, a.size, a.step), v.sizes(0))};
  }
};

const OpFamily kFamily{op_def<Select>(), op_def<SliceOp>(), op_def<Narrow>(), op_def<Diagonal>(), op_def<Unfold>()};

}  // namespace

Tensor select(const Tensor& x, int64_t dim, int64_t index) { return apply<Select>({dim, index}, {x}); }
Tensor slice(const Tensor& x, const SliceAttrs& attrs) { return apply<SliceOp>(attrs, {x}); }
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  // Checked here, so that errors speak of narrow; what is left is a slice.
  views::narrow("narrow", x.geometry(), dim, start, length);
  const int64_t first = start < 0 ? start + x.size(dim) : start;
  return slice(x, {.dim = dim, .start = first, .end = first + length});
}
Tensor diagonal(const Tensor& x, const DiagonalAttrs& attrs) { return apply<Diagonal>(attrs, {x}); }
Tensor unfold(const Tensor& x, const UnfoldAttrs& attrs) { return apply<Unfold>(attrs, {x}); }

}  // namespace tapewire
