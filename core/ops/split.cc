#include "core/ops/split.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/ops/call_support.h"
#include "core/ops/join.h"
#include "core/ops/registry.h"
#include "core/ops/slicing.h"

namespace tapewire {
namespace {

// A dimension may be as long as a stride of 0 says it is; views of it are objects of their own.
constexpr int64_t kMostPieces = 65536;

void check_pieces(std::string_view op, int64_t pieces) {
  if (pieces > kMostPieces) fail(op, ": ", pieces, " pieces; at most ", kMostPieces, " views are made at once");
}

Value tuple_of(const Tensors& pieces) { return Tuple(pieces.begin(), pieces.end()); }

struct SplitWithSizes {
  using Attrs = SplitWithSizesAttrs;
  static constexpr auto name = "split_with_sizes";
  static constexpr auto doc = "pieces of the given sizes, as views";
  static constexpr std::array inputs{input("input")};
  static Geometries view(const Attrs& a, const Tensor& x) {
    if (x.dim() == 0) fail("split: split expects at least a 1-dimensional tensor");
    const int64_t dim = wrap_dim(name, a.dim, x.dim());
    check_pieces(name, static_cast<int64_t>(a.split_sizes.size()));
    int64_t sum = 0;
    bool fits = true;
    for (const int64_t size : a.split_sizes) {
      count_work(1);
      if (size < 0) {
        fail(
            "split_with_sizes: split_with_sizes expects split_sizes have only non-negative entries, but got "
            "split_sizes=",
            to_string(a.split_sizes));
      }
      fits = fits && !__builtin_add_overflow(sum, size, &sum);
    }
    if (!fits || sum != x.size(dim)) {
      fail("split_with_sizes: split_with_sizes expects split_sizes to sum exactly to ", x.size(dim),
           " (input tensor's size at dimension ", dim, "), but got split_sizes=", to_string(a.split_sizes));
    }
    Geometries out;
    int64_t start = 0;
    for (const int64_t size : a.split_sizes) {
      out.push_back(views::narrow(name, x.geometry(), dim, start, size));
      start += size;
    }
    return out;
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    std::vector<Tensor> grads;
    for (size_t i = 0; i < a.split_sizes.size(); ++i) grads.push_back(v.grad(i));
    return {cat(grads, a.dim)};
  }
};

struct SplitAttrs {
  Value split_size_or_sections;
  int64_t dim = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("split_size_or_sections", &SplitAttrs::split_size_or_sections,
                                     "the size of each piece, an int, or a list of sizes"),
                      field("dim", &SplitAttrs::dim, "the dimension to cut")};
  }
};

struct Split {
  using Attrs = SplitAttrs;
  static constexpr auto name = "split";
  static constexpr auto doc = "pieces of one size, or of the given sizes, as views";
  static constexpr std::array inputs{input("input")};
  static constexpr bool differentiable = true;
  static Value call(const AttributeMap& all) {
    const CallArguments arguments(name, all);
    const Tensor& x = arguments.tensor("input");
    const int64_t dim = arguments.integer("dim", 0);
    const Value& size = arguments.value("split_size_or_sections");
    if (size.is_int()) return tuple_of(split(x, size.integer(), dim));
    return tuple_of(split_with_sizes(x, arguments.ints("split_size_or_sections"), dim));
  }
};

struct Chunk {
  using Attrs = ChunkAttrs;
  static constexpr auto name = "chunk";
  static constexpr auto doc = "at most that many pieces of one size, as views";
  static constexpr std::array inputs{input("input")};
  static Tensors compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (x.dim() == 0) fail("chunk: chunk expects at least a 1-dimensional tensor");
    if (a.chunks <= 0) fail("chunk: chunk expects `chunks` to be greater than 0, got: ", a.chunks);
    const int64_t size = x.size(wrap_dim(name, a.dim, x.dim()));
    if (size > 0) return split(x, size / a.chunks + (size % a.chunks != 0 ? 1 : 0), a.dim);
    check_pieces(name, a.chunks);
    return split_with_sizes(x, Shape(static_cast<size_t>(a.chunks), 0), a.dim);
  }
};

struct TensorSplitAttrs {
  Value indices_or_sections;
  int64_t dim = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("indices_or_sections", &TensorSplitAttrs::indices_or_sections,
                                     "the number of pieces, or where to cut: an int, ints, or an integer tensor"),
                      field("dim", &TensorSplitAttrs::dim, "the dimension to cut")};
  }
};

struct TensorSplit {
  using Attrs = TensorSplitAttrs;
  static constexpr auto name = "tensor_split";
  static constexpr auto doc = "that many pieces of nearly one size, or those between indices, as views";
  static constexpr std::array inputs{input("input")};
  static constexpr bool differentiable = true;
  static Value call(const AttributeMap& all) {
    const CallArguments arguments(name, all);
    const Tensor& x = arguments.tensor("input");
    const int64_t dim = arguments.integer("dim", 0);
    const Value& where = arguments.value("indices_or_sections");
    if (where.is_int()) return tuple_of(tensor_split(x, where.integer(), dim));
    if (!where.is_tensor()) return tuple_of(tensor_split(x, arguments.ints("indices_or_sections"), dim));
    const Tensor& places = where.tensor();
    if (places.dtype() != DType::kInt64) {
      fail("tensor_split: tensor_split expected tensor_indices_or_sections to have dtype of long, but got ",
           name_of(places.dtype()));
    }
    if (places.dim() > 1) {
      fail(
          "tensor_split: tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional "
          "tensor, but got a tensor with ",
          places.dim(), " dims");
    }
    if (places.dim() == 0) return tuple_of(tensor_split(x, places.item<int64_t>(), dim));
    check_pieces(name, places.numel());
    return tuple_of(tensor_split(x, Ints(places.to_vector<int64_t>()), dim));
  }
};

struct Unbind {
  using Attrs = UnbindAttrs;
  static constexpr auto name = "unbind";
  static constexpr auto doc = "all slices of a dimension, without it, as views";
  static constexpr std::array inputs{input("input")};
  static Geometries view(const Attrs& a, const Tensor& x) {
    if (x.dim() == 0) fail("unbind: Dimension specified as ", a.dim, " but tensor has no dimensions");
    const int64_t dim = wrap_dim(name, a.dim, x.dim());
    check_pieces(name, x.size(dim));
    Geometries out;
    for (int64_t i = 0; i < x.size(dim); ++i) {
      count_work(kTensorWork);
      out.push_back(views::select(x.geometry(), dim, i));
    }
    return out;
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Shape& sizes = v.sizes(0);
    const int64_t dim = wrap_dim(name, a.dim, static_cast<int64_t>(sizes.size()));
    std::vector<Tensor> grads;
    for (int64_t i = 0; i < sizes[static_cast<size_t>(dim)]; ++i) grads.push_back(v.grad(static_cast<size_t>(i)));
    if (grads.empty()) return {Tensor::zeros(sizes, v.dtype(0))};
    return {stack(grads, dim)};
  }
};

const OpFamily kFamily{op_def<SplitWithSizes>(), op_def<Split>(), op_def<Chunk>(), op_def<TensorSplit>(),
                       op_def<Unbind>()};

int64_t split_dim(const Tensor& x, int64_t dim) {
  if (x.dim() == 0) {
    fail("tensor_split: tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  }
  return wrap_dim("tensor_split", dim, x.dim());
}

}  // namespace

Tensors split_with_sizes(const Tensor& x, Ints split_sizes, int64_t dim) {
  return apply_all<SplitWithSizes>({Shape(split_sizes.begin(), split_sizes.end()), dim}, {x});
}

Tensors split(const Tensor& x, int64_t split_size, int64_t dim) {
  if (x.dim() == 0) fail("split: split expects at least a 1-dimensional tensor");
  if (split_size < 0) fail("split: split expects split_size be non-negative, but got split_size=", split_size);
  const int64_t size = x.size(wrap_dim("split", dim, x.dim()));
  if (split_size == 0 && size != 0) {
    fail("split: split_size can only be 0 if dimension size is 0, but got dimension size of ", size);
  }
  if (size == 0) return split_with_sizes(x, Shape{0}, dim);
  const int64_t whole = size / split_size;
  check_pieces("split", whole);
  Shape sizes(static_cast<size_t>(whole), split_size);
  if (size % split_size != 0) sizes.push_back(size % split_size);
  return split_with_sizes(x, sizes, dim);
}

Tensors chunk(const Tensor& x, int64_t chunks, int64_t dim) { return apply_all<Chunk>({chunks, dim}, {x}); }

Tensors tensor_split(const Tensor& x, int64_t sections, int64_t dim) {
  const int64_t d = split_dim(x, dim);
  if (sections <= 0) fail("tensor_split: number of sections must be larger than 0, got ", sections);
  check_pieces("tensor_split", sections);
  const int64_t size = x.size(d);
  Tensors out;
  int64_t start = 0;
  for (int64_t i = 0; i < sections; ++i) {
    count_work(kTensorWork);
    const int64_t length = size / sections + (i < size % sections ? 1 : 0);
    out.push_back(slice(x, {.dim = d, .start = start, .end = start + length}));
    start += length;
  }
  return out;
}

Tensors tensor_split(const Tensor& x, Ints indices, int64_t dim) {
  const int64_t d = split_dim(x, dim);
  check_pieces("tensor_split", static_cast<int64_t>(indices.size()));
  Tensors out;
  int64_t start = 0;
  for (const int64_t end : indices) {
    count_work(kTensorWork);
    out.push_back(slice(x, {.dim = d, .start = start, .end = end}));
    start = end;
  }
  out.push_back(slice(x, {.dim = d, .start = start, .end = x.size(d)}));
  return out;
}

Tensors unbind(const Tensor& x, int64_t dim) { return apply_all<Unbind>({dim}, {x}); }

}  // namespace tapewire
