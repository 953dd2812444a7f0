#include "core/ops/gather.h"

#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/index.h"
#include "core/ops/pad.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

// A 0-d tensor as one of one element, which kernels want where the other operand has a dimension.
Tensor with_dims(const Tensor& x) { return x.dim() > 0 ? x : x.alias({{1}, {1}, x.offset()}); }
Shape with_dims(const Spec& x) { return x.sizes.empty() ? Shape{1} : x.shape(); }

void check_index_dtype(std::string_view op, const Spec& index) {
  if (index.dtype != DType::kInt64 && index.numel() > 0) fail(op, ": ", op, "(): Expected dtype int64 for index");
}

void check_index_dims(std::string_view op, const Spec& index, const Shape& other, const char* what) {
  if (with_dims(index).size() != other.size()) {
    fail(op, ": Index tensor must have the same number of dimensions as ", what, " tensor");
  }
}

struct Gather {
  using Attrs = GatherAttrs;
  static constexpr auto name = "gather";
  static constexpr auto doc = "the elements of input that index names along dim";
  static constexpr std::array inputs{input("input"), input("index")};
  static constexpr std::array<std::string_view, 3> order{"input", "dim", "index"};
  static constexpr std::array saves{save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const int64_t dim = wrap_dim(name, a.dim, in[0].dim());
    if (in[1].numel() == 0) return {{in[0].dtype, in[1].shape()}};
    check_index_dtype(name, in[1]);
    const Shape own = with_dims(in[0]);
    const Shape index = with_dims(in[1]);
    check_index_dims(name, in[1], own, "input");
    for (size_t d = 0; d < own.size(); ++d) {
      if (static_cast<int64_t>(d) != dim && index[d] > own[d]) {
        fail("gather: Size does not match at dimension ", d, " expected index ", to_string(in[1].sizes),
             " to be smaller than self ", to_string(in[0].sizes), " apart from dimension ", dim);
      }
    }
    return {{in[0].dtype, in[1].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (out[0].numel() == 0) return;
    kernels::gather(with_dims(in[0]), wrap_dim(name, a.dim, in[0].dim()), with_dims(in[1]), with_dims(out[0]));
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    if (!v.needs(0)) return {Tensor(), Tensor()};  // an empty index may be of floats
    return {scatter_add(Tensor::zeros(v.sizes(0), v.dtype(0)), a.dim, v.input(1), v.grad()), Tensor()};
  }
};

// What scatter and scatter_add ask of their operands. `any_src`: a 0-d src serves every place.
void check_scatter(std::string_view op, int64_t raw_dim, Specs in, bool any_src) {
  const int64_t dim = wrap_dim(op, raw_dim, in[0].dim());
  check_index_dtype(op, in[1]);
  const bool number = any_src && in[2].sizes.empty();
  if (!number && in[0].dtype != in[2].dtype) fail(op, ": ", op, "(): Expected self.dtype to be equal to src.dtype");
  if (in[1].numel() == 0) return;
  const Shape own = with_dims(in[0]);
  const Shape index = with_dims(in[1]);
  check_index_dims(op, in[1], own, "self");
  if (!number) check_index_dims(op, in[1], with_dims(in[2]), "src");
  for (size_t d = 0; d < own.size(); ++d) {
    const bool fits_own = static_cast<int64_t>(d) == dim || index[d] <= own[d];
    if (fits_own && (number || index[d] <= with_dims(in[2])[d])) continue;
    fail(op, ": Expected index ", to_string(in[1].sizes), " to be smaller than self ", to_string(in[0].sizes),
         " apart from dimension ", dim,
         number ? std::string() : str_cat(" and to be smaller size than src ", to_string(in[2].sizes)));
  }
}

// src for each element of the index.
Tensor spread_src(const Tensor& src, const Tensor& index, DType dtype) {
  if (src.dim() > 0) return src;
  const Tensor one = Tensor::empty({}, dtype);
  kernels::copy(src, one);
  return one.alias({index.sizes(), Shape(index.sizes().size(), 0), 0});
}

// The gradient for a src, whose elements beyond the index's sizes go nowhere.
Tensor read_back(const Tensor& grad, int64_t dim, const Tensor& index, const Shape& src) {
  if (index.numel() == 0) return Tensor::zeros(src, grad.dtype());  // its dimensions may be any
  Tensor out = gather(grad, dim, index);
  if (src.empty() || out.sizes() == src) return out;
  if (out.dim() == 0) out = reshape(out, {1});
  Shape missing;
  for (size_t d = src.size(); d-- > 0;) {
    missing.push_back(0);
    missing.push_back(src[d] - out.sizes()[d]);
  }
  return pad(out, {.pad = missing});
}

struct Scatter {
  using Attrs = ScatterAttrs;
  static constexpr auto name = "scatter";
  static constexpr auto doc = "input with src, a tensor or a number, at the places that index names along dim";
  static constexpr std::array inputs{input("input"), input("index"), optional_input("src"), optional_input("value")};
  static constexpr std::array<std::string_view, 4> order{"input", "dim", "index", "src"};
  static constexpr std::array saves{save_input(1)};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[2].defined == in[3].defined) fail("scatter: takes either src or value");
    if (in[3].defined && !in[3].sizes.empty()) fail("scatter: value must be a number, got ", to_string(in[3]));
    const Spec operands[] = {in[0], in[1], in[2].defined ? in[2] : in[3]};
    check_scatter(name, a.dim, Specs(operands), true);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (!out[0].is_same(in[0])) kernels::copy(in[0], out[0]);
    if (in[1].numel() == 0) return;
    const Tensor to = with_dims(out[0]);
    const Tensor index = with_dims(in[1]);
    const Tensor src = with_dims(spread_src(in[2].defined() ? in[2] : in[3], index, to.dtype()));
    const int64_t dim = wrap_dim(name, a.dim, in[0].dim());
    if (!a.reduce) {
      kernels::scatter(to, dim, index, src);
    } else if (*a.reduce == ScatterReduce::kAdd) {
      kernels::scatter_add(to, dim, index, src);
    } else {
      kernels::scatter_multiply(to, dim, index, src);
    }
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    if (a.reduce) fail("scatter: the derivative for scatter with reduce is not implemented");
    const Tensor g = v.grad();
    const Tensor index = v.input(1);
    Tensors out(4);
    if (v.needs(0)) out[0] = scatter(g, a.dim, index, Tensor::wrapped(0));
    for (const size_t src : {size_t{2}, size_t{3}}) {
      if (v.needs(src)) out[src] = read_back(g, a.dim, index, v.sizes(src));
    }
    return out;
  }
};

struct ScatterAdd {
  using Attrs = ScatterAddAttrs;
  static constexpr auto name = "scatter_add";
  static constexpr auto doc = "input with src added at the places that index names along dim";
  static constexpr std::array inputs{input("input"), input("index"), input("src")};
  static constexpr std::array<std::string_view, 4> order{"input", "dim", "index", "src"};
  static constexpr std::array saves{save_input(1).to_grad(2)};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    check_scatter(name, a.dim, in, false);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (!out[0].is_same(in[0])) kernels::copy(in[0], out[0]);
    if (in[1].numel() == 0) return;
    kernels::scatter_add(with_dims(out[0]), wrap_dim(name, a.dim, in[0].dim()), with_dims(in[1]), with_dims(in[2]));
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    return {g, Tensor(), v.needs(2) ? read_back(g, a.dim, v.input(1), v.sizes(2)) : Tensor()};
  }
};

struct TakeAlongDim {
  using Attrs = TakeAlongDimAttrs;
  static constexpr auto name = "take_along_dim";
  static constexpr auto doc = "the elements of input that indices name along dim; the other dimensions broadcast";
  static constexpr std::array inputs{input("input"), input("indices")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    const Tensor& indices = in[1];
    if (indices.dtype() != DType::kInt64) {
      fail("take_along_dim: torch.take_along_dim(): dtype of indices should be Long but got ",
           name_of(indices.dtype()));
    }
    if (!a.dim) return gather(ravel(x), 0, ravel(indices));
    if (x.dim() != indices.dim()) {
      fail(
          "take_along_dim: torch.take_along_dim(): input and indices should have the same number of dimensions, but "
          "got ",
          x.dim(), " dimensions for input, and ", indices.dim(), " dimensions for indices");
    }
    const int64_t dim = wrap_dim(name, *a.dim, x.dim());
    if (x.dim() == 0) return gather(x, dim, indices);
    const auto along = static_cast<size_t>(dim);
    // All but the indexed dimension broadcast.
    Shape own = x.sizes();
    Shape chosen = indices.sizes();
    own[along] = chosen[along] = 1;
    own = chosen = broadcast_shapes(name, own, chosen);
    own[along] = x.size(dim);
    chosen[along] = indices.size(dim);
    return gather(expand(x, own), dim, expand(indices, chosen));
  }
};

const OpFamily kFamily{op_def<Gather>(), op_def<Scatter>(), op_def<ScatterAdd>(), op_def<TakeAlongDim>()};

}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) { return apply<Gather>({dim}, {x, index}); }
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  return apply<Scatter>({dim, std::nullopt}, {x, index, src, {}});
}
Tensor scatter_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  return apply_inplace<Scatter>({dim, std::nullopt}, {x, index, src, {}});
}
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  return apply<ScatterAdd>({dim}, {x, index, src});
}
Tensor scatter_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  return apply_inplace<ScatterAdd>({dim}, {x, index, src});
}
Tensor take_along_dim(const Tensor& x, const Tensor& indices, std::optional<int64_t> dim) {
  return apply<TakeAlongDim>({dim}, {x, indices});
}

}  // namespace tapewire
