#include "core/ops/index_ops.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/kernels/index.h"
#include "core/ops/arithmetic.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

Tensor as_int64(const Tensor& index) {
  if (index.dtype() == DType::kInt64) return index;
  const Tensor out = Tensor::empty(index.sizes(), DType::kInt64);
  kernels::copy(index, out);
  return out;
}

bool is_index(DType dtype) { return dtype == DType::kInt64 || dtype == DType::kInt32; }

struct IndexSelect {
  using Attrs = IndexDimAttrs;
  static constexpr auto name = "index_select";
  static constexpr auto doc = "the slices of a dimension that index names";
  static constexpr std::array inputs{input("input"), input("index")};
  static constexpr std::array<std::string_view, 3> order{"input", "dim", "index"};
  static constexpr std::array saves{save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const auto dim = static_cast<size_t>(wrap_dim(name, a.dim, in[0].dim()));
    if (in[1].dim() > 1) fail("index_select: index_select(): Index is supposed to be a vector");
    if (!is_index(in[1].dtype)) fail("index_select: index_select(): Expected dtype int32 or int64 for index");
    Shape sizes = in[0].shape();
    const int64_t count = in[1].numel();
    if (sizes.empty() && count != 1) {
      fail("index_select: index_select(): Index to scalar can have only 1 value, got ", count, " value(s)");
    }
    if (!sizes.empty()) sizes[dim] = count;
    return {{in[0].dtype, sizes}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::index_select(in[0], wrap_dim(name, a.dim, in[0].dim()), as_int64(in[1]), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    return {index_add(Tensor::zeros(v.sizes(0), v.dtype(0)), a.dim, v.input(1), v.grad()), Tensor()};
  }
};

// The slices that one op writes: source's sizes must be input's, but for dim.
void check_source(std::string_view op, int64_t raw_dim, Specs in) {
  const Spec& self = in[0];
  const Spec& index = in[1];
  const Spec& source = in[2];
  const int64_t dim = wrap_dim(op, raw_dim, self.dim());
  const int64_t count = index.numel();
  if (source.sizes.empty() || self.sizes.empty()) {
    if (source.numel() != 1 || count != 1) {
      fail(op, ": ", op, "_(): When source is scalar, index should have one element (got ", count, ")");
    }
  } else if (source.dim() != self.dim()) {
    fail(op, ": ", op,
         "_(): When source and destination are not scalars, their dimensionality must match. Source dimensionality (",
         source.dim(), "), destination dimensionality (", self.dim(), ")");
  } else if (source.size(static_cast<size_t>(dim)) != count) {
    fail(op, ": ", op, "_(): Number of indices (", count, ") should be equal to source.size(dim): (",
         source.size(static_cast<size_t>(dim)), "), for dim: ", dim);
  }
  Shape own = self.shape();
  Shape given = source.shape();
  if (!own.empty()) own.erase(own.begin() + dim);
  if (!given.empty()) given.erase(given.begin() + std::min(dim, source.dim() - 1));
  if (own != given) {
    fail(op, ": ", op,
         "_(): Source/destination tensor must have same slice shapes. Destination slice shape: ", to_string(own),
         " at dimension ", dim, " and source slice shape: ", to_string(given), " at dimension ", dim, ".");
  }
}

// source with as many dimensions as x, one of which may be 0-d where the other has one element.
Tensor source_like(const Tensor& source, const Tensor& x) {
  if (source.dim() == x.dim()) return source;
  return source.alias({Shape(x.sizes().size(), 1), Shape(x.sizes().size(), 1), source.offset()});
}

struct IndexAdd {
  using Attrs = IndexAddAttrs;
  static constexpr auto name = "index_add";
  static constexpr auto doc = "input with alpha * source's slices added to those that index names";
  static constexpr std::array inputs{input("input"), input("index"), input("source")};
  static constexpr std::array<std::string_view, 4> order{"input", "dim", "index", "source"};
  static constexpr std::array saves{save_input(1).to_grad(2)};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[1].dim() > 1) {
      fail("index_add: index_add_(): Index is supposed to be a vector, but got dim: ", in[1].dim(),
           " with type: ", name_of(in[1].dtype), " and size: ", to_string(in[1].sizes));
    }
    if (!is_index(in[1].dtype)) fail("index_add: index_add_(): Expected dtype int32/int64 for index");
    if (in[0].dtype != in[2].dtype) {
      fail("index_add: index_add_(): self (", name_of(in[0].dtype), ") and source (", name_of(in[2].dtype),
           ") must have the same scalar type");
    }
    if (a.alpha.is_float() && !is_floating(in[0].dtype)) {
      fail("index_add: For integral input tensors, argument alpha must not be a floating point number.");
    }
    check_source(name, a.dim, in);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (!out[0].is_same(in[0])) kernels::copy(in[0], out[0]);
    kernels::index_add(out[0], wrap_dim(name, a.dim, in[0].dim()), as_int64(in[1]), source_like(in[2], in[0]), a.alpha);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    Tensor by_source;
    if (v.needs(2)) {
      by_source = reshape(index_select(g, a.dim, v.input(1)), v.sizes(2));
      if (!(a.alpha == Scalar(1))) by_source = mul(by_source, a.alpha);
    }
    return {g, Tensor(), by_source};
  }
};

struct IndexCopy {
  using Attrs = IndexDimAttrs;
  static constexpr auto name = "index_copy";
  static constexpr auto doc = "input with source's slices in place of those that index names";
  static constexpr std::array inputs{input("input"), input("index"), input("source")};
  static constexpr std::array<std::string_view, 4> order{"input", "dim", "index", "source"};
  static constexpr std::array saves{save_input(1)};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[1].dim() > 1) fail("index_copy: index_copy_(): Index should have dimension 1 or 0 (got ", in[1].dim(), ")");
    if (in[1].dtype != DType::kInt64) {
      fail("index_copy: index_copy_(): Expected a long tensor for index, but got ", name_of(in[1].dtype));
    }
    if (in[0].dtype != in[2].dtype) {
      fail("index_copy: index_copy_(): self and source expected to have the same dtype, but got (self) ",
           name_of(in[0].dtype), " and (source) ", name_of(in[2].dtype));
    }
    check_source(name, a.dim, in);
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    if (!out[0].is_same(in[0])) kernels::copy(in[0], out[0]);
    kernels::index_copy(out[0], wrap_dim(name, a.dim, in[0].dim()), in[1], source_like(in[2], in[0]));
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor index = v.input(1);
    Tensors out(3);
    if (v.needs(0)) out[0] = index_fill(g, a.dim, index, Tensor::wrapped(0));
    if (v.needs(2)) out[2] = reshape(index_select(g, a.dim, index), v.sizes(2));
    return out;
  }
};

struct IndexFill {
  using Attrs = IndexDimAttrs;
  static constexpr auto name = "index_fill";
  static constexpr auto doc = "input with value, a number or 0-d tensor, all over the slices that index names";
  static constexpr std::array inputs{input("input"), input("index"), input("value")};
  static constexpr std::array<std::string_view, 4> order{"input", "dim", "index", "value"};
  static constexpr std::array saves{save_input(1)};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    wrap_dim(name, a.dim, in[0].dim());
    if (in[1].dim() > 1) fail("index_fill: Index has to be a vector/scalar");
    if (in[1].dtype != DType::kInt64) fail("index_fill: index_fill_(): Expected dtype int64 for index.");
    if (in[2].dim() != 0) {
      fail("index_fill: index_fill_ only supports a 0-dimensional value tensor, but got tensor with ", in[2].dim(),
           " dimension(s).");
    }
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Scalar value = in[2].item_scalar();
    check_representable(name, value, in[0].dtype());
    if (!out[0].is_same(in[0])) kernels::copy(in[0], out[0]);
    kernels::index_fill(out[0], wrap_dim(name, a.dim, in[0].dim()), in[1], value);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Tensor index = v.input(1);
    Tensors out(3);
    if (v.needs(0)) out[0] = index_fill(g, a.dim, index, Tensor::wrapped(0));
    // Indices that repeat fill the same place once; PyTorch adds its gradient up as often as they do.
    if (v.needs(2)) out[2] = sum(index_select(g, a.dim, from_start(index, g, a.dim)));
    return out;
  }

 private:
  // index_select takes no negative indices.
  static Tensor from_start(const Tensor& index, const Tensor& x, int64_t dim) {
    const int64_t size = x.dim() == 0 ? 1 : x.size(dim);
    return where(lt(index, 0), add(index, size), index);
  }
};

struct OneHot {
  using Attrs = OneHotAttrs;
  static constexpr auto name = "one_hot";
  static constexpr auto doc = "a 1 at the place that each class has among zeros";
  static constexpr std::array inputs{input("input")};
  static constexpr bool differentiable = false;
  static Tensor compose(const Attrs& a, Inputs in) {
    if (in[0].dtype() != DType::kInt64) fail("one_hot: one_hot is only applicable to index tensor.");
    const Tensor classes = kernels::contiguous(in[0]);
    if (classes.numel() == 0 && a.num_classes <= 0) {
      fail("one_hot: Can not infer total number of classes from empty tensor.");
    }
    const auto* at = classes.data<int64_t>();
    const std::span<const int64_t> all(at, static_cast<size_t>(classes.numel()));
    const int64_t least = all.empty() ? 0 : *std::ranges::min_element(all);
    const int64_t most = all.empty() ? 0 : *std::ranges::max_element(all);
    if (least < 0) fail("one_hot: Class values must be non-negative.");
    int64_t count = a.num_classes;
    if (count == -1) {
      if (__builtin_add_overflow(most, int64_t{1}, &count)) fail("one_hot: class ", most, " is too large");
    } else if (count < 1 || (!all.empty() && most >= count)) {
      fail(count < 1 && all.empty() ? "one_hot: num_classes should be positive"
                                    : "one_hot: Class values must be smaller than num_classes.");
    }
    Shape sizes = classes.sizes();
    sizes.push_back(count);
    const Tensor out = Tensor::zeros(sizes, DType::kInt64);
    auto* row = out.mutable_data<int64_t>();
    for (const int64_t c : all) {
      count_work(8);
      row[c] = 1;
      row += count;
    }
    return out;
  }
};

const OpFamily kFamily{op_def<IndexSelect>(), op_def<IndexAdd>(), op_def<IndexCopy>(), op_def<IndexFill>(),
                       op_def<OneHot>()};

}  // namespace

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) { return apply<IndexSelect>({dim}, {x, index}); }
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha) {
  return apply<IndexAdd>({dim, alpha}, {x, index, source});
}
Tensor index_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha) {
  return apply_inplace<IndexAdd>({dim, alpha}, {x, index, source});
}
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  return apply<IndexCopy>({dim}, {x, index, source});
}
Tensor index_copy_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  return apply_inplace<IndexCopy>({dim}, {x, index, source});
}
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  return apply<IndexFill>({dim}, {x, index, value});
}
Tensor index_fill_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  return apply_inplace<IndexFill>({dim}, {x, index, value});
}
Tensor one_hot(const Tensor& classes, int64_t num_classes) { return apply<OneHot>({num_classes}, {classes}); }

}  // namespace tapewire
