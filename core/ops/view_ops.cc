#include "core/ops/view_ops.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

Shape shape_of(Ints sizes) { return {sizes.begin(), sizes.end()}; }

struct View {
  using Attrs = ShapeAttrs;
  static constexpr auto name = "view";
  static constexpr auto doc = "the same elements under other sizes; never a copy";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) { return views::view(x.geometry(), a.shape); }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {reshape(v.grad(), v.sizes(0))}; }
};

struct ViewAs {
  using Attrs = NoAttrs;
  static constexpr auto name = "view_as";
  static constexpr auto doc = "view with the sizes of other";
  static constexpr std::array inputs{input("input"), input("other")};
  static Tensor compose(const Attrs&, Inputs in) { return tapewire::view(in[0], in[1].sizes()); }
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

struct ReshapeAs {
  using Attrs = NoAttrs;
  static constexpr auto name = "reshape_as";
  static constexpr auto doc = "reshape to the sizes of other";
  static constexpr std::array inputs{input("input"), input("other")};
  static Tensor compose(const Attrs&, Inputs in) { return reshape(in[0], in[1].sizes()); }
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

struct Unflatten {
  using Attrs = UnflattenAttrs;
  static constexpr auto name = "unflatten";
  static constexpr auto doc = "dimension dim becomes several, as a view";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    const int64_t dim = wrap_dim(name, a.dim, x.dim());
    if (a.sizes.empty()) fail("unflatten: sizes must be non-empty");
    const int64_t size = x.size(dim);
    int64_t known = 1;
    bool unknown = false;
    bool fits = true;
    for (const int64_t piece : a.sizes) {
      unknown = unknown || piece == -1;
      if (piece != -1) fits = fits && piece >= 0 && !__builtin_mul_overflow(known, piece, &known);
    }
    fits = fits && (!unknown ? known == size : known == 0 ? size == 0 : size % known == 0);
    if (!fits) {
      fail("unflatten: Provided sizes ", to_string(a.sizes), " don't multiply up to the size of dim ", dim, " (", size,
           ") in the input tensor");
    }
    const Shape pieces = views::infer_size(name, a.sizes, size);
    Shape sizes(x.sizes().begin(), x.sizes().begin() + dim);
    sizes.insert(sizes.end(), pieces.begin(), pieces.end());
    sizes.insert(sizes.end(), x.sizes().begin() + dim + 1, x.sizes().end());
    return tapewire::view(x, sizes);
  }
};

struct Ravel {
  using Attrs = NoAttrs;
  static constexpr auto name = "ravel";
  static constexpr auto doc = "one dimension of all elements; a copy only where they do not lie in order";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs&, Inputs in) { return tapewire::view(contiguous(in[0]), {in[0].numel()}); }
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

struct BroadcastTo {
  using Attrs = SizeAttrs;
  static constexpr auto name = "broadcast_to";
  static constexpr auto doc = "expand under NumPy's name";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) { return expand(in[0], a.size); }
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

struct Swapaxes {
  using Attrs = SwapaxesAttrs;
  static constexpr auto name = "swapaxes";
  static constexpr auto doc = "transpose under NumPy's name";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) { return transpose(in[0], a.axis0, a.axis1); }
};

struct Movedim {
  using Attrs = MovedimAttrs;
  static constexpr auto name = "movedim";
  static constexpr auto doc = "moves dimensions to other places, as a view; the others keep their order";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    if (a.source.size() != a.destination.size()) {
      fail("movedim: Invalid source or destination dims: source (", to_string(a.source),
           " dims) should contain the same number of dims as destination (", to_string(a.destination), " dims)");
    }
    const int64_t dims = in[0].dim();
    const Shape source = places(a.source, dims, "source");
    const Shape destination = places(a.destination, dims, "destination");
    if (dims == 0) return view_as_self(in[0]);
    Shape order(static_cast<size_t>(dims), -1);
    for (size_t i = 0; i < source.size(); ++i) order[static_cast<size_t>(destination[i])] = source[i];
    int64_t next = 0;
    for (int64_t& from : order) {
      if (from >= 0) continue;
      while (std::ranges::find(source, next) != source.end()) ++next;
      from = next++;
    }
    return permute(in[0], order);
  }

 private:
  static Shape places(const Shape& given, int64_t dims, const char* what) {
    Shape out;
    for (const int64_t d : given) out.push_back(wrap_dim(name, d, dims));
    for (size_t i = 0; i < out.size(); ++i) {
      if (std::find(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(i), out[i]) !=
          out.begin() + static_cast<std::ptrdiff_t>(i)) {
        fail("movedim: repeated dim in `", what, "` (", to_string(given), ")");
      }
    }
    return out;
  }
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
  using Attrs = SqueezeAttrs;
  static constexpr auto name = "squeeze";
  static constexpr auto doc = "without the dimensions dim that are one long, or without all such";
  static constexpr std::array inputs{input("input")};
  static Geometry view(const Attrs& a, const Tensor& x) {
    return a.dim ? views::squeeze(x.geometry(), Ints(*a.dim)) : views::squeeze(x.geometry(), std::nullopt);
  }
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

const OpFamily kFamily{op_def<View>(),        op_def<ViewAs>(),  op_def<Reshape>(),   op_def<ReshapeAs>(),
                       op_def<Flatten>(),     op_def<Ravel>(),   op_def<Unflatten>(), op_def<Expand>(),
                       op_def<ExpandAs>(),    op_def<Permute>(), op_def<Transpose>(), op_def<Swapaxes>(),
                       op_def<BroadcastTo>(), op_def<Movedim>(), op_def<T>(),         op_def<Unsqueeze>(),
                       op_def<Squeeze>(),     op_def<Alias>()};

}  // namespace

Tensor view(const Tensor& x, Ints sizes) { return apply<View>({shape_of(sizes)}, {x}); }
Tensor reshape(const Tensor& x, Ints sizes) { return apply<Reshape>({shape_of(sizes)}, {x}); }
Tensor view_as(const Tensor& x, const Tensor& other) { return view(x, other.sizes()); }
Tensor reshape_as(const Tensor& x, const Tensor& other) { return reshape(x, other.sizes()); }
Tensor flatten(const Tensor& x, const FlattenAttrs& attrs) { return apply<Flatten>(attrs, {x}); }
Tensor unflatten(const Tensor& x, int64_t dim, Ints sizes) { return apply<Unflatten>({dim, shape_of(sizes)}, {x}); }
Tensor ravel(const Tensor& x) { return apply<Ravel>({}, {x}); }
Tensor expand(const Tensor& x, Ints sizes) { return apply<Expand>({shape_of(sizes)}, {x}); }
Tensor expand_as(const Tensor& x, const Tensor& other) { return expand(x, other.sizes()); }
Tensor broadcast_to(const Tensor& x, Ints sizes) { return expand(x, sizes); }
Tensor permute(const Tensor& x, Ints dims) { return apply<Permute>({shape_of(dims)}, {x}); }
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) { return apply<Transpose>({dim0, dim1}, {x}); }
Tensor swapaxes(const Tensor& x, int64_t axis0, int64_t axis1) { return transpose(x, axis0, axis1); }
Tensor movedim(const Tensor& x, Ints source, Ints destination) {
  return apply<Movedim>({shape_of(source), shape_of(destination)}, {x});
}
Tensor t(const Tensor& x) { return apply<T>({}, {x}); }
Tensor unsqueeze(const Tensor& x, int64_t dim) { return apply<Unsqueeze>({dim}, {x}); }
Tensor squeeze(const Tensor& x, std::optional<int64_t> dim) {
  return apply<Squeeze>({dim ? std::optional(Shape{*dim}) : std::nullopt}, {x});
}
Tensor view_as_self(const Tensor& x) { return apply<Alias>({}, {x}); }

}  // namespace tapewire
