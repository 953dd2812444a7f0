#include "core/ops/shape_ops.h"

#include <algorithm>

#include "core/kernels/binary.h"
#include "core/kernels/copy.h"
#include "core/kernels/reduce.h"
#include "core/kernels/unary.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

Shape shape_of(const Tensor& x) { return x.sizes(); }

// The part of the elements, in a row-major tensor, that a strided view covers; throws when it reaches outside.
void check_bounds(std::string_view op, const AsStridedAttrs& a, int64_t numel) {
  if (a.size.size() != a.stride.size()) fail(op, ": mismatch in length of strides and shape");
  const bool empty = numel_of(a.size) == 0;
  int64_t last = a.storage_offset;
  for (size_t i = 0; i < a.size.size(); ++i) {
    if (a.stride[i] < 0)
      fail(op, ": Negative strides are not supported at the moment, got strides: ", to_string(a.stride));
    if (empty) continue;
    int64_t reach = 0;
    if (__builtin_mul_overflow(a.size[i] - 1, a.stride[i], &reach) || __builtin_add_overflow(last, reach, &last)) {
      fail(op, ": strides ", to_string(a.stride), " overflow");
    }
  }
  if (a.storage_offset < 0 || last > numel || (last == numel && !empty)) {
    fail(op, ": size ", to_string(a.size), " with strides ", to_string(a.stride), " and offset ", a.storage_offset,
         " reaches outside the ", numel, " elements of input");
  }
}

struct View {
  using Attrs = ShapeAttrs;
  static constexpr auto name = "view";
  static constexpr auto doc = "the same elements under other sizes; never a copy";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return views::view(x.geometry(), a.shape); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {reshape(v.grad(), v.sizes(0))}; }
};

struct Reshape {
  using Attrs = ShapeAttrs;
  static constexpr auto name = "reshape";
  static constexpr auto doc = "the same elements under other sizes; a copy where they do not lie so";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Shape sizes = views::infer_size(name, a.shape, in[0].numel());
    if (views::view_strides(in[0].geometry(), sizes)) return tapewire::view(in[0], sizes);
    return tapewire::view(clone(in[0]), sizes);
  }
};

struct Flatten {
  using Attrs = FlattenAttrs;
  static constexpr auto name = "flatten";
  static constexpr auto doc = "dimensions start_dim to end_dim become one";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    const int64_t start = wrap_dim(name, a.start_dim, x.dim());
    const int64_t end = wrap_dim(name, a.end_dim, x.dim());
    if (start > end) fail("flatten: flatten() has invalid args: start_dim cannot come after end_dim");
    if (x.dim() == 0) return reshape(x, {1});
    if (start == end) return x;
    Shape sizes(x.sizes().begin(), x.sizes().begin() + start);
    sizes.push_back(
        numel_of(Ints(x.sizes()).subspan(static_cast<size_t>(start), static_cast<size_t>(end - start + 1))));
    sizes.insert(sizes.end(), x.sizes().begin() + end + 1, x.sizes().end());
    return reshape(x, sizes);
  }
};

struct Expand {
  using Attrs = SizeAttrs;
  static constexpr auto name = "expand";
  static constexpr auto doc = "repeats one-long dimensions without copying";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return views::expand(name, x.geometry(), a.size); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {sum_to(v.grad(), v.sizes(0))}; }
};

struct ExpandAs {
  using Attrs = NoAttrs;
  static constexpr auto name = "expand_as";
  static constexpr auto doc = "expand to the sizes of other";
  static constexpr std::array inputs{input("input"), input("other")};
  static Tensor compose(const Attrs&, Inputs in) { return expand(in[0], in[1].sizes()); }
};

struct ViewAs {
  using Attrs = NoAttrs;
  static constexpr auto name = "view_as";
  static constexpr auto doc = "view with the sizes of other";
  static constexpr std::array inputs{input("input"), input("other")};
  static Tensor compose(const Attrs&, Inputs in) { return tapewire::view(in[0], in[1].sizes()); }
};

struct Permute {
  using Attrs = DimsAttrs;
  static constexpr auto name = "permute";
  static constexpr auto doc = "dimensions in another order, as a view";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return views::permute(x.geometry(), a.dims); }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    Shape inverse(a.dims.size());
    for (size_t i = 0; i < a.dims.size(); ++i) {
      inverse[static_cast<size_t>(wrap_dim(name, a.dims[i], static_cast<int64_t>(a.dims.size())))] =
          static_cast<int64_t>(i);
    }
    return {permute(v.grad(), inverse)};
  }
};

struct Transpose {
  using Attrs = TransposeAttrs;
  static constexpr auto name = "transpose";
  static constexpr auto doc = "two dimensions swapped, as a view";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return views::transpose(x.geometry(), a.dim0, a.dim1); }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {transpose(v.grad(), a.dim0, a.dim1)}; }
};

struct T {
  using Attrs = NoAttrs;
  static constexpr auto name = "t";
  static constexpr auto doc = "a matrix transposed, as a view; vectors and scalars as they are";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs&, const Tensor& x) {
    if (x.dim() > 2) fail("t: t() expects a tensor with <= 2 dimensions, but self is ", x.dim(), "D");
    return x.dim() == 2 ? views::transpose(x.geometry(), 0, 1) : x.geometry();
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {t(v.grad())}; }
};

struct Unsqueeze {
  using Attrs = DimAttrs;
  static constexpr auto name = "unsqueeze";
  static constexpr auto doc = "a one-long dimension more, as a view";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return views::unsqueeze(x.geometry(), a.dim); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {reshape(v.grad(), v.sizes(0))}; }
};

struct Squeeze {
  using Attrs = OptionalDimAttrs;
  static constexpr auto name = "squeeze";
  static constexpr auto doc = "without dimension dim if that is one long, or without all such";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return views::squeeze(x.geometry(), a.dim); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {reshape(v.grad(), v.sizes(0))}; }
};

struct Alias {
  using Attrs = NoAttrs;
  static constexpr auto name = "alias";
  static constexpr auto doc = "a view of all of input, with a history of its own";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs&, const Tensor& x) { return x.geometry(); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {v.grad()}; }
};

Geometry strided(const AsStridedAttrs& a) { return {a.size, a.stride, a.storage_offset}; }

struct AsStridedBackwardAttrs : AsStridedAttrs {
  Shape input_size;
  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{field("input_size", &AsStridedBackwardAttrs::input_size, "of as_strided's input")},
        std::tuple{field("size", &AsStridedBackwardAttrs::size, "sizes of the view"),
                   field("stride", &AsStridedBackwardAttrs::stride, "strides in elements"),
                   field("storage_offset", &AsStridedBackwardAttrs::storage_offset, "elements after input's first")});
  }
};

struct AsStridedBackward {
  using Attrs = AsStridedBackwardAttrs;
  static constexpr auto name = "as_strided_backward";
  static constexpr auto doc = "adds a view's gradient to where its elements lie in the input";
  static constexpr std::array inputs{input("grad")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_bounds(name, a, numel_of(a.input_size));
    if (!std::ranges::equal(in[0].sizes, a.size)) {
      fail("as_strided_backward: grad has sizes ", to_string(in[0].sizes), ", expected ", to_string(a.size));
    }
    return {{in[0].dtype, a.input_size}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::fill(out[0], 0.0);
    const Tensor place = out[0].alias(strided(a));
    bool overlaps = false;
    for (size_t i = 0; i < a.size.size(); ++i) overlaps = overlaps || (a.size[i] > 1 && a.stride[i] == 0);
    if (numel_of(a.size) <= out[0].numel() && !overlaps && is_injective(a)) {
      kernels::copy(in[0], place);
      return;
    }
    dispatch_floating(name, in[0].dtype(), [&]<class E>(TypeTag<E>) {
      const E* grad = in[0].data<E>();
      E* sum = out[0].mutable_data<E>() + a.storage_offset;
      const auto walk = [&](auto&& self, size_t d, int64_t from, int64_t at) -> void {
        if (d == a.size.size()) {
          sum[at] += grad[from];
          return;
        }
        for (int64_t i = 0; i < a.size[d]; ++i) self(self, d + 1, from + i * in[0].strides()[d], at + i * a.stride[d]);
      };
      walk(walk, 0, 0, 0);
    });
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {as_strided(contiguous(v.grad()), a)}; }

  // True when no element is covered twice: sorted by stride, each dimension starts beyond the reach of the smaller.
  static bool is_injective(const AsStridedAttrs& a) {
    absl::InlinedVector<std::pair<int64_t, int64_t>, 6> dims;
    for (size_t i = 0; i < a.size.size(); ++i) {
      if (a.size[i] > 1) dims.emplace_back(a.stride[i], a.size[i]);
    }
    std::ranges::sort(dims);
    int64_t reach = 0;
    for (const auto& [stride, size] : dims) {
      if (stride <= reach) return false;
      reach += stride * (size - 1);
    }
    return true;
  }
};

struct AsStrided {
  using Attrs = AsStridedAttrs;
  static constexpr auto name = "as_strided";
  static constexpr auto doc = "a view with any sizes and strides over a row-major input's elements";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) {
    if (!x.is_contiguous()) fail("as_strided: expects a row-major input, got strides ", to_string(x.strides()));
    check_bounds(name, a, x.numel());
    Geometry geometry = strided(a);
    geometry.offset += x.offset();
    return geometry;
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    AsStridedBackwardAttrs back;
    static_cast<AsStridedAttrs&>(back) = a;
    back.input_size = v.sizes(0);
    return {apply<AsStridedBackward>(back, {v.grad()})};
  }
};

struct AsStridedScatter {
  using Attrs = AsStridedAttrs;
  static constexpr auto name = "as_strided_scatter";
  static constexpr auto doc = "a copy of input in which that strided view holds src";
  static constexpr std::array inputs{input("input"), input("src")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_bounds(name, a, in[0].numel());
    if (!std::ranges::equal(in[1].sizes, a.size)) {
      fail("as_strided_scatter: src has sizes ", to_string(in[1].sizes), ", expected ", to_string(a.size));
    }
    if (in[0].dtype != in[1].dtype) fail("as_strided_scatter: input and src must be of one dtype");
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::copy(in[0], out[0]);
    kernels::copy(in[1], out[0].alias(strided(a)));
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = contiguous(v.grad());
    Tensors out(2);
    if (v.needs(0)) out[0] = apply<AsStridedScatter>(a, {g, Tensor::zeros(a.size, g.dtype())});
    if (v.needs(1)) out[1] = as_strided(g, a);
    return out;
  }
};

struct Clone {
  using Attrs = NoAttrs;
  static constexpr auto name = "clone";
  static constexpr auto doc = "a copy";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::copy(in[0], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {v.grad()}; }
};

struct Contiguous {
  using Attrs = NoAttrs;
  static constexpr auto name = "contiguous";
  static constexpr auto doc = "input itself when row-major, else a copy that is";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs&, Inputs in) { return in[0].is_contiguous() ? in[0] : clone(in[0]); }
};

struct CastTo {
  using Attrs = ToAttrs;
  static constexpr auto name = "cast";
  static constexpr auto doc = "a copy of another dtype";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) { return {{a.dtype, in[0].shape()}}; }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::copy(in[0], out[0]); }
  // The engine casts a gradient to its input's dtype.
  static Tensors vjp(const Attrs&, const Vjp& v) { return {v.grad()}; }
};

struct To {
  using Attrs = ToAttrs;
  static constexpr auto name = "to";
  static constexpr auto doc = "input itself when of that dtype, else converted";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    return in[0].dtype() == a.dtype ? in[0] : apply<CastTo>(a, {in[0]});
  }
};

// "size" gives numbers, not tensors: size() a tuple, size(dim) an int.
struct Size {
  using Attrs = OptionalDimAttrs;
  static constexpr auto name = "size";
  static constexpr auto doc = "the sizes as a tuple, or one of them";
  static constexpr std::array inputs{input("input")};
  static Value call(const AttributeMap& arguments) {
    const auto at = arguments.find("input");
    if (at == arguments.end() || !at->second.is_tensor()) {
      fail("size: argument 'input': expected a tensor, got ",
           at == arguments.end() ? std::string("none") : at->second.describe());
    }
    const Shape sizes = shape_of(at->second.tensor());
    const auto dim = arguments.find("dim");
    if (dim == arguments.end() || dim->second.is_none()) return Tuple(sizes.begin(), sizes.end());
    if (!dim->second.is_int()) fail("size: argument 'dim': expected an int, got ", dim->second.describe());
    return at->second.tensor().size(dim->second.integer());
  }
};

const OpFamily kFamily{op_def<View>(),
                       op_def<Reshape>(),
                       op_def<Flatten>(),
                       op_def<Expand>(),
                       op_def<ExpandAs>(),
                       op_def<ViewAs>(),
                       op_def<Permute>(),
                       op_def<Transpose>(),
                       op_def<T>(),
                       op_def<Unsqueeze>(),
                       op_def<Squeeze>(),
                       op_def<Alias>(),
                       op_def<AsStrided>(),
                       op_def<AsStridedBackward>(),
                       op_def<AsStridedScatter>(),
                       op_def<Clone>(),
                       op_def<Contiguous>(),
                       op_def<CastTo>(),
                       op_def<To>(),
                       op_def<Size>()};

AsStridedAttrs attrs_of(const Geometry& g) { return {g.sizes, g.strides, g.offset}; }

// What the engine itself computes with.
const bool kEngineOpsSet = [] {
  EngineOps ops{};
  ops.add = [](const Tensor& a, const Tensor& b) { return add(a, b); };
  ops.accumulate = [](const Tensor& a, const Tensor& b) { kernels::binary(kernels::BinaryOp::kAdd, a, b, a); };
  ops.clone = &clone;
  ops.sum_to = &sum_to;
  ops.cast = &to;
  ops.as_strided = [](const Tensor& x, const Geometry& g) { return as_strided(contiguous(x), attrs_of(g)); };
  ops.as_strided_backward = [](const Tensor& grad, const Geometry& g, Ints sizes) {
    AsStridedBackwardAttrs attrs;
    static_cast<AsStridedAttrs&>(attrs) = attrs_of(g);
    attrs.input_size.assign(sizes.begin(), sizes.end());
    return apply<AsStridedBackward>(attrs, {grad});
  };
  ops.as_strided_scatter = [](const Tensor& base, const Tensor& src, const Geometry& g) {
    return apply<AsStridedScatter>(attrs_of(g), {base, src});
  };
  ops.has_nan = [](const Tensor& x) {
    if (!is_floating(x.dtype())) return false;
    const Tensor nans = Tensor::empty(x.sizes(), DType::kBool);
    kernels::unary(kernels::UnaryOp::kIsnan, x, nans);
    const Tensor any = Tensor::empty(Ints{}, DType::kBool);
    kernels::any(nans, {}, any);
    return any.item<bool>();
  };
  set_engine_ops(ops);
  return true;
}();

}  // namespace

Tensor view(const Tensor& x, Ints sizes) { return apply<View>({Shape(sizes.begin(), sizes.end())}, {x}); }
Tensor reshape(const Tensor& x, Ints sizes) { return apply<Reshape>({Shape(sizes.begin(), sizes.end())}, {x}); }
Tensor flatten(const Tensor& x, const FlattenAttrs& attrs) { return apply<Flatten>(attrs, {x}); }
Tensor expand(const Tensor& x, Ints sizes) { return apply<Expand>({Shape(sizes.begin(), sizes.end())}, {x}); }
Tensor expand_as(const Tensor& x, const Tensor& other) { return expand(x, other.sizes()); }
Tensor permute(const Tensor& x, Ints dims) { return apply<Permute>({Shape(dims.begin(), dims.end())}, {x}); }
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) { return apply<Transpose>({dim0, dim1}, {x}); }
Tensor t(const Tensor& x) { return apply<T>({}, {x}); }
Tensor unsqueeze(const Tensor& x, int64_t dim) { return apply<Unsqueeze>({dim}, {x}); }
Tensor squeeze(const Tensor& x, std::optional<int64_t> dim) { return apply<Squeeze>({dim}, {x}); }
Tensor view_as_self(const Tensor& x) { return apply<Alias>({}, {x}); }
Tensor as_strided(const Tensor& x, const AsStridedAttrs& attrs) { return apply<AsStrided>(attrs, {x}); }
Tensor clone(const Tensor& x) { return apply<Clone>({}, {x}); }
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }
Tensor to(const Tensor& x, DType dtype) { return x.dtype() == dtype ? x : apply<CastTo>({dtype}, {x}); }

Tensor sum_to(const Tensor& x, Ints sizes) {
  if (std::ranges::equal(x.sizes(), sizes)) return x;
  const size_t leading = x.sizes().size() - sizes.size();
  Shape dims;
  for (size_t i = 0; i < x.sizes().size(); ++i) {
    if (i < leading || (sizes[i - leading] == 1 && x.sizes()[i] != 1)) dims.push_back(static_cast<int64_t>(i));
  }
  if (dims.empty()) return view(x, sizes);
  const Tensor kept = sum(x, {.dim = dims, .keepdim = true});
  return leading > 0 ? view(kept, sizes) : kept;
}

}  // namespace tapewire
