#include "core/ops/indexing.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/kernels/advanced_index.h"
#include "core/kernels/copy.h"
#include "core/ops/registry.h"
#include "core/ops/view_ops.h"

namespace tapewire {
namespace {

// Index tensors alone: a mask becomes one for each of its dimensions.
std::vector<Tensor> expand_masks(std::string_view op, const Tensor& x, std::span<const Tensor> indices) {
  std::vector<Tensor> out;
  for (const Tensor& index : indices) {
    if (!index.defined() || index.dtype() == DType::kInt64) {
      out.push_back(index);
    } else if (index.dtype() == DType::kInt32) {
      out.push_back(Tensor::empty(index.sizes(), DType::kInt64));
      kernels::copy(index, out.back());
    } else if (is_mask(index.dtype())) {
      if (index.dim() == 0) fail(op, ": a 0-d mask stands for no dimension");
      for (size_t d = 0; d < index.sizes().size(); ++d) {
        const size_t at = out.size() + d;
        if (at < x.sizes().size() && index.sizes()[d] == x.sizes()[at]) continue;
        fail(op, ": The shape of the mask ", to_string(index.sizes()), " at index ", d,
             " does not match the shape of the indexed tensor ", to_string(x.sizes()), " at index ", at);
      }
      for (Tensor& one : kernels::nonzero(index)) out.push_back(std::move(one));
    } else {
      fail(op, ": tensors used as indices must be long, int, byte or bool tensors");
    }
  }
  return out;
}

// How int64 index tensors make a result of a tensor's sizes.
struct Layout {
  Shape index_sizes;  // all of them, broadcast
  size_t place = 0;   // of those dimensions in the result
  Shape sizes;        // of the result
};

Layout layout_of(std::string_view op, Ints sizes, std::span<const Spec> indices) {
  if (indices.size() > sizes.size()) {
    fail(op, ": too many indices for tensor of dimension ", sizes.size(), " (got ", indices.size(), ")");
  }
  Layout out;
  size_t first = sizes.size();
  size_t last = 0;
  size_t count = 0;
  std::string shapes;
  for (size_t d = 0; d < indices.size(); ++d) {
    if (!indices[d].defined) continue;
    first = std::min(first, d);
    last = d;
    ++count;
    shapes += str_cat(shapes.empty() ? "" : ", ", to_string(indices[d].sizes));
  }
  for (const Spec& index : indices) {
    if (!index.defined) continue;
    try {
      out.index_sizes = broadcast_shapes(op, out.index_sizes, index.sizes);
    } catch (const Error&) {
      fail(op, ": shape mismatch: indexing tensors could not be broadcast together with shapes ", shapes);
    }
  }
  const bool neighbours = count > 0 && last - first + 1 == count;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (neighbours && d == first) out.place = out.sizes.size();
    if (d >= indices.size() || !indices[d].defined) out.sizes.push_back(sizes[d]);
  }
  out.sizes.insert(out.sizes.begin() + static_cast<std::ptrdiff_t>(out.place), out.index_sizes.begin(),
                   out.index_sizes.end());
  return out;
}

std::vector<Spec> specs_of(std::span<const Tensor> tensors) {
  std::vector<Spec> out;
  for (const Tensor& x : tensors) out.push_back(x.defined() ? Spec{x.dtype(), x.sizes(), true} : Spec{});
  return out;
}

// What the kernels read and write at: a tensor under the result's sizes, and the offsets that the indices add.
struct Places {
  Tensor base;
  Tensor offsets;
};

Places places_of(std::string_view op, const Tensor& x, std::span<const Tensor> indices) {
  const Layout layout = layout_of(op, x.sizes(), specs_of(indices));
  const Tensor offsets = Tensor::empty(layout.index_sizes, DType::kInt64);
  std::vector<kernels::DimensionIndex> chosen;
  Geometry base{layout.sizes, {}, x.offset()};
  for (size_t d = 0; d < x.sizes().size(); ++d) {
    if (d < indices.size() && indices[d].defined()) {
      chosen.push_back({indices[d], static_cast<int64_t>(d), x.sizes()[d], x.strides()[d]});
    } else {
      base.strides.push_back(x.strides()[d]);
    }
  }
  kernels::index_offsets(chosen, offsets);
  Geometry each{layout.sizes, Shape(base.strides.size(), 0), 0};
  const auto place = static_cast<std::ptrdiff_t>(layout.place);
  base.strides.insert(base.strides.begin() + place, layout.index_sizes.size(), 0);
  each.strides.insert(each.strides.begin() + place, offsets.strides().begin(), offsets.strides().end());
  return {x.alias(std::move(base)), offsets.alias(std::move(each))};
}

struct IndexElements {
  using Attrs = NoAttrs;
  static constexpr auto name = "index_elements";
  static constexpr auto doc = "index by int64 tensors alone";
  static constexpr std::array inputs{input("input"), InputDecl{"indices", true, true}};
  static constexpr std::array saves{save_input(1).to_grad(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    for (const Spec& index : in.list()) {
      if (index.defined && index.dtype != DType::kInt64) fail("index_elements: indices must be int64");
    }
    return {{in[0].dtype, layout_of("index", in[0].sizes, in.list()).sizes}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) {
    const Places places = places_of("index", in[0], in.list());
    kernels::read_at(places.base, places.offsets, out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    Tensors out(1 + v.list_size());
    out[0] = index_put(Tensor::zeros(v.sizes(0), v.dtype(0)), v.input_list(), v.grad(), true);
    return out;
  }
};

struct Index {
  using Attrs = NoAttrs;
  static constexpr auto name = "index";
  static constexpr auto doc = "the elements that index tensors or masks choose, one (or none) for each dimension";
  static constexpr std::array inputs{input("input"), InputDecl{"indices", true, true}};
  static Tensor compose(const Attrs&, Inputs in) {
    std::vector<Tensor> flat = expand_masks(name, in[0], in.list());
    const size_t count = flat.size();
    if (std::ranges::none_of(flat, [](const Tensor& x) { return x.defined(); })) return view_as_self(in[0]);
    flat.insert(flat.begin(), in[0]);
    return std::move(apply_list<IndexElements>({}, flat, count)[0]);
  }
};

struct IndexPut {
  using Attrs = IndexPutAttrs;
  static constexpr auto name = "index_put";
  static constexpr auto doc = "input with values at the places that index tensors or masks choose";
  static constexpr std::array inputs{input("input"), InputDecl{"indices", true, true}, input("values")};
  static constexpr std::array saves{save_input(1)};
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs&, Specs in) {
    const Spec& values = in[2];
    if (!values.sizes.empty() && values.dtype != in[0].dtype) {
      fail("index_put: Index put requires the source and destination dtypes match, got ", name_of(in[0].dtype),
           " for the destination and ", name_of(values.dtype), " for the source.");
    }
    return {{in[0].dtype, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const std::vector<Tensor> indices = expand_masks(name, in[0], in.list());
    const Places places = places_of(name, out[0], indices);
    const Shape& sizes = places.base.sizes();
    Tensor values = in[2];
    if (values.dtype() != out[0].dtype()) {
      values = Tensor::empty({}, out[0].dtype());
      kernels::copy(in[2], values);
    }
    if (!fits(values.sizes(), sizes)) {
      fail("index_put: shape mismatch: value tensor of shape ", to_string(values.sizes()),
           " cannot be broadcast to indexing result of shape ", to_string(sizes));
    }
    if (!out[0].is_same(in[0])) kernels::copy(in[0], out[0]);
    kernels::write_at(places.base, places.offsets, values, a.accumulate);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const std::vector<Tensor> indices = v.input_list();
    Tensors out(indices.size() + 2);
    if (v.needs(0)) out[0] = a.accumulate ? g : index_put(g, indices, Tensor::wrapped(0));
    if (v.needs(2)) out[indices.size() + 1] = tapewire::index(g, indices);
    return out;
  }

 private:
  static bool fits(Ints values, Ints sizes) {
    if (values.size() > sizes.size()) return false;
    const Ints tail = sizes.subspan(sizes.size() - values.size());
    for (size_t d = 0; d < values.size(); ++d) {
      if (values[d] != 1 && values[d] != tail[d]) return false;
    }
    return true;
  }
};

struct MaskedSelect {
  using Attrs = NoAttrs;
  static constexpr auto name = "masked_select";
  static constexpr auto doc = "the elements where mask is true, in one dimension";
  static constexpr std::array inputs{input("input"), input("mask")};
  static Tensor compose(const Attrs&, Inputs in) {
    if (!is_mask(in[1].dtype())) fail("masked_select: masked_select: expected BoolTensor or ByteTensor for mask");
    Shape sizes = broadcast_shapes(name, in[0].sizes(), in[1].sizes());
    if (sizes.empty()) sizes = {1};
    const Tensor mask = expand(in[1], sizes);
    return tapewire::index(expand(in[0], sizes), std::span(&mask, 1));
  }
};

const OpFamily kFamily{op_def<IndexElements>(), op_def<Index>(), op_def<IndexPut>(), op_def<MaskedSelect>()};

// The tensors in the order of the declarations.
std::vector<Tensor> operands(const Tensor& x, std::span<const Tensor> indices, const Tensor& values) {
  std::vector<Tensor> out{x};
  out.insert(out.end(), indices.begin(), indices.end());
  if (values.defined()) out.push_back(values);
  return out;
}

}  // namespace

Tensor index(const Tensor& x, std::span<const Tensor> indices) {
  return std::move(apply_list<Index>({}, operands(x, indices, {}), indices.size())[0]);
}
Tensor index_put(const Tensor& x, std::span<const Tensor> indices, const Tensor& values, bool accumulate) {
  return std::move(apply_list<IndexPut>({accumulate}, operands(x, indices, values), indices.size())[0]);
}
Tensor index_put_(const Tensor& x, std::span<const Tensor> indices, const Tensor& values, bool accumulate) {
  const IndexPutAttrs attrs{accumulate};
  return std::move(dispatch_inplace(op_def<IndexPut>(), &attrs, operands(x, indices, values), indices.size())[0]);
}
Tensor masked_select(const Tensor& x, const Tensor& mask) { return apply<MaskedSelect>({}, {x, mask}); }

}  // namespace tapewire
