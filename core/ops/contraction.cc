#include "core/ops/contraction.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/arithmetic.h"
#include "core/ops/op.h"
#include "core/ops/product.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

struct Mv {
  using Attrs = NoAttrs;
  static constexpr auto name = "mv";
  static constexpr auto doc = "the product of a matrix and a vector";
  static constexpr std::array inputs{input("input"), input("vec")};
  static Tensor compose(const Attrs&, Inputs in) {
    const Tensor& a = in[0];
    const Tensor& b = in[1];
    if (a.dim() != 2 || b.dim() != 1) {
      fail("mv: vector + matrix @ vector expected, got ", 1, ", ", a.dim(), ", ", b.dim());
    }
    if (a.size(1) != b.size(0)) {
      fail("mv: size mismatch, got input (", a.size(0), "), mat (", a.size(0), "x", a.size(1), "), vec (", b.size(0),
           ")");
    }
    return reshape(mm(a, unsqueeze(b, 1)), {a.size(0)});
  }
};

// dot and vdot, which for real numbers is the same.
template <bool kConjugates>
struct Dot {
  using Attrs = NoAttrs;
  static constexpr auto name = kConjugates ? "vdot" : "dot";
  static constexpr auto doc =
      kConjugates ? "the inner product of two vectors (of real numbers: dot)" : "the inner product of two vectors";
  static constexpr std::array inputs{input("input"), input(kConjugates ? "other" : "tensor")};
  static Tensor compose(const Attrs&, Inputs in) {
    const Tensor& a = in[0];
    const Tensor& b = in[1];
    if (a.dim() != 1 || b.dim() != 1) {
      fail(name, ": 1D tensors expected, but got ", a.dim(), "D and ", b.dim(), "D tensors");
    }
    if (a.dtype() != b.dtype()) {
      fail(name, ": expected both vectors to have same dtype, but found ", name_of(a.dtype()), " and ",
           name_of(b.dtype()));
    }
    if (a.numel() != b.numel()) {
      fail(name, ": inconsistent tensor size, expected tensor ", to_string(a.sizes()), " and src ",
           to_string(b.sizes()), " to have the same number of elements, but got ", a.numel(), " and ", b.numel(),
           " elements respectively");
    }
    return reshape(mm(unsqueeze(a, 0), unsqueeze(b, 1)), {});
  }
};

struct Inner {
  using Attrs = NoAttrs;
  static constexpr auto name = "inner";
  static constexpr auto doc = "the sum of products over the last dimension of both";
  static constexpr std::array inputs{input("input"), input("other")};
  static Tensor compose(const Attrs&, Inputs in) {
    const Tensor& a = in[0];
    const Tensor& b = in[1];
    if (a.dim() == 0 || b.dim() == 0) return mul(a, b);
    if (a.size(-1) != b.size(-1)) {
      fail("inner() the last dimension must match on both input tensors but got shapes ", to_string(a.sizes()), " and ",
           to_string(b.sizes()));
    }
    return tensordot(a, b, {.dims = {.count = std::nullopt, .a = Shape{-1}, .b = Shape{-1}}});
  }
};

struct Outer {
  using Attrs = NoAttrs;
  static constexpr auto name = "outer";
  static constexpr auto doc = "every product of an element of one vector with one of the other";
  static constexpr std::array inputs{input("input"), input("vec2")};
  static Tensor compose(const Attrs&, Inputs in) {
    if (in[0].dim() != 1) fail("outer: Expected 1-D argument self, but got ", in[0].dim(), "-D");
    if (in[1].dim() != 1) fail("outer: Expected 1-D argument vec2, but got ", in[1].dim(), "-D");
    return mul(unsqueeze(in[0], 1), in[1]);
  }
};

struct Kron {
  using Attrs = NoAttrs;
  static constexpr auto name = "kron";
  static constexpr auto doc = "Kronecker's product: every element of input times all of other";
  static constexpr std::array inputs{input("input"), input("other")};
  static Tensor compose(const Attrs&, Inputs in) {
    // Of dimension d the product has input's size times other's: [.., a_d, 1, ..] times [.., 1, b_d, ..].
    const auto dims = static_cast<size_t>(std::max(in[0].dim(), in[1].dim()));
    if (2 * static_cast<int64_t>(dims) > kMaxDims) fail("kron: at most ", kMaxDims / 2, " dimensions, got ", dims);
    Shape left;
    Shape right;
    Shape sizes;
    for (size_t d = 0; d < dims; ++d) {
      const auto size_of_dim = [&](const Tensor& x) {
        const size_t lead = dims - x.sizes().size();
        return d < lead ? int64_t{1} : x.sizes()[d - lead];
      };
      const int64_t a = size_of_dim(in[0]);
      const int64_t b = size_of_dim(in[1]);
      left.insert(left.end(), {a, 1});
      right.insert(right.end(), {1, b});
      sizes.push_back(numel_of(Shape{a, b}));
    }
    return reshape(mul(reshape(in[0], left), reshape(in[1], right)), sizes);
  }
};

struct Tensordot {
  using Attrs = TensordotAttrs;
  static constexpr auto name = "tensordot";
  static constexpr auto doc = "the sum of products over pairs of dimensions of a and b";
  static constexpr std::array inputs{input("a"), input("b")};
  static Tensor compose(const Attrs& attrs, Inputs in) {
    const Tensor& a = in[0];
    const Tensor& b = in[1];
    Shape dims_a = attrs.dims.a;
    Shape dims_b = attrs.dims.b;
    if (attrs.dims.count) {
      const int64_t count = *attrs.dims.count;
      if (count < 0) fail("tensordot expects dims >= 0, but got dims=", count);
      if (count > std::min(a.dim(), b.dim())) {
        fail("tensordot expects dims < ndim_a or ndim_b, but got ", count, " for tensors of ", a.dim(), " and ",
             b.dim(), " dimensions");
      }
      for (int64_t i = 0; i < count; ++i) {
        dims_a.push_back(a.dim() - count + i);
        dims_b.push_back(i);
      }
    }
    if (dims_a.size() != dims_b.size()) fail("tensordot: both dimension lists should have same length");
    const auto wrapped = [](const Shape& dims, int64_t rank) {
      return dims.empty() ? Shape{} : wrap_dims(name, dims, rank);
    };
    dims_a = wrapped(dims_a, a.dim());
    dims_b = wrapped(dims_b, b.dim());
    int64_t contracted = 1;
    for (size_t i = 0; i < std::min(dims_a.size(), dims_b.size()); ++i) {
      if (a.size(dims_a[i]) != b.size(dims_b[i])) {
        fail("tensordot: contracted dimensions need to match, but first has size ", a.size(dims_a[i]), " in dim ",
             dims_a[i], " and second has size ", b.size(dims_b[i]), " in dim ", dims_b[i]);
      }
      contracted *= a.size(dims_a[i]);
    }
    // Both as matrices: the dimensions kept by those contracted.
    Shape sizes;
    const auto matrix = [&](const Tensor& x, const Shape& dims, bool first) {
      Shape order;
      int64_t kept = 1;
      for (int64_t d = 0; d < x.dim(); ++d) {
        if (std::ranges::find(dims, d) != dims.end()) continue;
        order.push_back(d);
        kept *= x.size(d);
        sizes.push_back(x.size(d));
      }
      order.insert(first ? order.end() : order.begin(), dims.begin(), dims.end());
      return first ? reshape(permute(x, order), {kept, contracted}) : reshape(permute(x, order), {contracted, kept});
    };
    const Tensor left = matrix(a, dims_a, true);
    const Tensor right = matrix(b, dims_b, false);
    return reshape(mm(left, right), sizes);
  }
};

const OpFamily kFamily{op_def<Mv>(),    op_def<Dot<false>>(), op_def<Dot<true>>(), op_def<Inner>(),
                       op_def<Outer>(), op_def<Kron>(),       op_def<Tensordot>()};

}  // namespace

ContractedDims AttributeType<ContractedDims>::from(const Value& v) {
  if (v.is_int()) return {.count = v.integer(), .a = {}, .b = {}};
  if (!v.is_tuple() || v.tuple().size() != 2) fail("expected an int or two lists of ints, got ", v.describe());
  return {.count = std::nullopt,
          .a = AttributeType<Shape>::from(v.tuple()[0]),
          .b = AttributeType<Shape>::from(v.tuple()[1])};
}

Value AttributeType<ContractedDims>::to(const ContractedDims& v) {
  if (v.count) return *v.count;
  return Tuple{AttributeType<Shape>::to(v.a), AttributeType<Shape>::to(v.b)};
}

Tensor mv(const Tensor& x, const Tensor& vec) { return apply<Mv>({}, {x, vec}); }
Tensor dot(const Tensor& x, const Tensor& tensor) { return apply<Dot<false>>({}, {x, tensor}); }
Tensor inner(const Tensor& x, const Tensor& other) { return apply<Inner>({}, {x, other}); }
Tensor outer(const Tensor& x, const Tensor& vec2) { return apply<Outer>({}, {x, vec2}); }
Tensor kron(const Tensor& x, const Tensor& other) { return apply<Kron>({}, {x, other}); }
Tensor tensordot(const Tensor& a, const Tensor& b, const TensordotAttrs& attrs) {
  return apply<Tensordot>(attrs, {a, b});
}

}  // namespace tapewire
