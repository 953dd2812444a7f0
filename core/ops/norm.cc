#include "core/ops/norm.h"

#include <cmath>

#include "core/kernels/reduce.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction.h"
#include "core/ops/reduction_support.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"
#include "core/ops/svd.h"

namespace tapewire {

NormOrder AttributeType<NormOrder>::from(const Value& v) {
  if (v.is_int() || v.is_double()) return {NormOrder::Kind::kNumber, v.real()};
  if (!v.is_string()) fail("expected a number, 'fro' or 'nuc', got ", v.describe());
  if (v.string() == "fro") return {NormOrder::Kind::kFrobenius, 2};
  if (v.string() == "nuc") return {NormOrder::Kind::kNuclear, 2};
  fail("expected a number, 'fro' or 'nuc', got ", quoted(v.string()));
}

Value AttributeType<NormOrder>::to(const NormOrder& v) {
  if (v.kind == NormOrder::Kind::kNumber) return v.p;
  return v.kind == NormOrder::Kind::kFrobenius ? "fro" : "nuc";
}

namespace {

struct NativeNormAttrs {
  double ord = 2;
  Shape dim;
  bool keepdim = false;
  static constexpr auto fields() {
    return std::tuple{field("ord", &NativeNormAttrs::ord, "0 counts what is not zero; inf and -inf pick extremes"),
                      field("dim", &NativeNormAttrs::dim, "dimensions to reduce; empty: all"),
                      field("keepdim", &NativeNormAttrs::keepdim, "leave reduced dimensions as ones")};
  }
};

struct NativeNorm {
  using Attrs = NativeNormAttrs;
  static constexpr auto name = "native_vector_norm";
  static constexpr auto doc = "the norm of input's own dtype";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array saves{save_input(0), save_output(0)};

  static TensorSpecs infer(const Attrs& a, Specs in) {
    const Spec& x = in[0];
    if (!is_floating(x.dtype)) {
      fail("linalg.vector_norm: Expected a floating point or complex tensor as input. Got ", scalar_type_name(x.dtype));
    }
    const Shape dims = wrap_dims("linalg.vector_norm", a.dim, x.dim());
    if (x.numel() == 0 && (a.ord < 0 || std::isinf(a.ord))) {
      if (a.dim.empty()) {
        fail("linalg.vector_norm cannot compute the ", a.ord,
             " norm on an empty tensor because the operation does not have an identity");
      }
      for (const int64_t d : dims) {
        if (x.sizes[static_cast<size_t>(d)] != 0) continue;
        fail("linalg.vector_norm cannot compute the ", a.ord, " norm on the dimension ", d,
             " because this dimension is empty and the operation does not have an identity");
      }
    }
    return {{x.dtype, reduced_sizes(x.sizes, dims, a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::vector_norm(in[0], a.ord, wrap_dims(name, a.dim, in[0].dim()), out[0]);
  }

  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor x = v.input(0);
    const Shape dims = wrap_dims(name, a.dim, x.dim());
    const auto restored = [&](const Tensor& t) { return restore_reduced(t, x.sizes(), dims, a.keepdim); };
    const Tensor g = restored(v.grad());
    const Tensor y = restored(v.output(0));
    const Tensor zero = Tensor::scalar(0.0, x.dtype());
    const Tensor one = Tensor::scalar(1.0, x.dtype());
    const double p = a.ord;
    if (p == 0) return {Tensor::zeros(x.sizes(), x.dtype())};
    if (p == 1) return {mul(sign(x), g)};
    if (std::isinf(p)) {
      const Tensor size = abs(x);
      const Tensor mask = add(eq(size, y), ne(x, x));
      const Tensor count = sum(mask, {.dim = dims, .keepdim = true});
      return {mul(sign(x), mul(div(g, count), mask))};
    }
    // Divided by one where the norm is zero, so that no gradient of these either meets 0 / 0.
    const Tensor flat = eq(y, zero);
    const Tensor divisor = where(flat, one, y);
    const auto scaled_by = [&](const Tensor& t) { return where(flat, zero, div(g, t)); };
    if (p == 2) return {mul(x, scaled_by(divisor))};
    const Tensor scale = scaled_by(pow(divisor, p - 1));
    if (p > 2) return {mul(mul(x, pow(abs(x), p - 2)), scale)};
    const Tensor at_zero = eq(x, zero);
    const Tensor power = where(at_zero, zero, pow(where(at_zero, one, abs(x)), p - 1));
    return {mul(mul(sign(x), power), scale)};
  }
};

Tensor native_norm(std::string_view op, const Tensor& x, double ord, const std::optional<Shape>& dim, bool keepdim,
                   std::optional<DType> dtype) {
  if (!is_floating(x.dtype())) {
    fail(op, ": linalg.vector_norm: Expected a floating point or complex tensor as input. Got ",
         scalar_type_name(x.dtype()));
  }
  if (dtype && !is_floating(*dtype)) {
    fail(op, ": linalg.vector_norm: dtype should be floating point or complex. Got ", scalar_type_name(*dtype));
  }
  if (dtype && size_of(*dtype) < size_of(x.dtype())) {
    fail(op, ": linalg.vector_norm: the dtype of the input (", scalar_type_name(x.dtype()),
         ") should be convertible without narrowing to the specified dtype (", scalar_type_name(*dtype), ")");
  }
  NativeNormAttrs attrs;
  attrs.ord = ord;
  if (dim) attrs.dim = *dim;
  attrs.keepdim = keepdim;
  return apply<NativeNorm>(attrs, {dtype ? to(x, *dtype) : x});
}

// The sum of the singular values of the matrices that two dimensions make.
Tensor nuclear_norm(const Tensor& input, const NormAttrs& a) {
  const Tensor x = a.dtype ? to(input, *a.dtype) : input;
  if (!is_floating(x.dtype())) {
    fail("norm: Expected a floating point or complex tensor as input. Got ", scalar_type_name(x.dtype()));
  }
  Shape dims{0, 1};
  if (a.dim && !a.dim->empty()) {
    dims = wrap_dims("norm", *a.dim, x.dim());
    if (dims.size() != 2) {
      fail("norm: nuclear norm requires a 'dim' argument of size 2, got ", to_string(*a.dim));
    }
  } else if (x.dim() != 2) {
    fail("norm: Expected a tensor with 2 dimensions, but got a tensor with ", x.dim(), " dimension",
         x.dim() == 1 ? "" : "s", " instead.");
  }
  Shape order;
  Shape kept;
  int64_t batch = 1;
  for (int64_t d = 0; d < x.dim(); ++d) {
    const bool reduced = d == dims[0] || d == dims[1];
    const int64_t size = x.sizes()[static_cast<size_t>(d)];
    if (!reduced) order.push_back(d);
    if (!reduced) batch *= size;
    if (!reduced || a.keepdim) kept.push_back(reduced ? 1 : size);
  }
  order.insert(order.end(), dims.begin(), dims.end());
  const Tensor matrices = reshape(permute(x, order), {batch, x.size(dims[0]), x.size(dims[1])});
  return reshape(sum(thin_svd(matrices).s, {.dim = Shape{1}}), kept);
}

struct Norm {
  using Attrs = NormAttrs;
  static constexpr auto name = "norm";
  static constexpr auto doc = "the norm of vectors (a number, 'fro') or of matrices ('nuc') over dim";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 4> order{"input", "p", "dim", "keepdim"};
  static Tensor compose(const Attrs& a, Inputs in) {
    const NormOrder p = a.p.value_or(NormOrder{});
    if (p.kind == NormOrder::Kind::kNuclear) return nuclear_norm(in[0], a);
    return native_norm(name, in[0], p.p, a.dim, a.keepdim, a.dtype);
  }
};

struct VectorNorm {
  using Attrs = VectorNormAttrs;
  static constexpr auto name = "linalg.vector_norm";
  static constexpr auto doc = "(sum |input|^ord)^(1/ord) over dim";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array<std::string_view, 4> order{"input", "ord", "dim", "keepdim"};
  static Tensor compose(const Attrs& a, Inputs in) {
    return native_norm(name, in[0], a.ord, a.dim, a.keepdim, a.dtype);
  }
};

const OpFamily kFamily{op_def<NativeNorm>(), op_def<Norm>(), op_def<VectorNorm>()};

}  // namespace

Tensor norm(const Tensor& x, const NormAttrs& attrs) { return apply<Norm>(attrs, {x}); }
Tensor vector_norm(const Tensor& x, const VectorNormAttrs& attrs) { return apply<VectorNorm>(attrs, {x}); }

}  // namespace tapewire
