#include "core/ops/extremes.h"

#include "core/kernels/reduce.h"
#include "core/ops/arithmetic.h"
#include "core/ops/call_support.h"
#include "core/ops/gather.h"
#include "core/ops/reduction_support.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

// The gradient of an extreme over `dims` (none: all), shared by the elements where `mask` is true: those equal to it.
Tensor shared_evenly(const Tensor& g, const Tensor& x, const Tensor& mask, Ints dims, bool keepdim) {
  const Tensor count = sum(mask, {.dim = Shape(dims.begin(), dims.end()), .keepdim = true});
  return mul(div(restore_reduced(g, x.sizes(), dims, keepdim), count), mask);
}

template <bool kLargest>
void extreme(const Tensor& x, Ints dims, const Tensor& out) {
  (kLargest ? kernels::amax : kernels::amin)(x, dims, out);
}

template <bool kLargest>
struct Amax {
  using Attrs = ReduceDimsAttrs;
  static constexpr auto name = kLargest ? "amax" : "amin";
  static constexpr auto doc = kLargest ? "the largest element over dim; equal ones share the gradient"
                                       : "the smallest element over dim; equal ones share the gradient";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array saves{save_input(0), save_output(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const Shape dims = dims_of(name, a.dim, in[0].dim());
    check_not_empty(name, a.dim, in[0]);
    return {{in[0].dtype, reduced_sizes(in[0].sizes, dims, a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    extreme<kLargest>(in[0], dims_of(name, a.dim, in[0].dim()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor x = v.input(0);
    const Shape dims = dims_of(name, a.dim, x.dim());
    const Tensor mask = eq(x, restore_reduced(v.output(0), x.sizes(), dims, a.keepdim));
    return {shared_evenly(v.grad(), x, mask, dims, a.keepdim)};
  }
};

// torch.max(x).
template <bool kLargest>
struct MaxAll {
  using Attrs = NoAttrs;
  static constexpr auto name = kLargest ? "max_all" : "min_all";
  static constexpr auto doc = kLargest ? "the largest of all elements" : "the smallest of all elements";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array saves{save_input(0), save_output(0)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_not_empty(kLargest ? "max" : "min", std::nullopt, in[0]);
    return {{in[0].dtype, Shape{}}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { extreme<kLargest>(in[0], {}, out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    const Tensor x = v.input(0);
    const Tensor y = v.output(0);
    // NaN is equal to itself here; amax gives NaN as its gradient.
    const Tensor mask = add(eq(x, y), mul(ne(x, x), ne(y, y)));
    return {shared_evenly(v.grad(), x, mask, wrap_dims(name, {}, x.dim()), false)};
  }
};

// torch.max(x, dim).
template <bool kLargest>
struct MaxDim {
  using Attrs = DimExtremeAttrs;
  static constexpr auto name = kLargest ? "max_dim" : "min_dim";
  static constexpr auto doc = kLargest ? "the largest elements along dim, and where they first stand"
                                       : "the smallest elements along dim, and where they first stand";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("values"), output("indices").no_grad()};
  static constexpr std::array saves{save_output(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const auto* public_name = kLargest ? "max" : "min";
    const Shape dims = one_dim(public_name, a.dim, in[0].dim());
    check_not_empty(public_name, Shape{a.dim}, in[0]);
    const Shape sizes = reduced_sizes(in[0].sizes, dims, a.keepdim);
    return {{in[0].dtype, sizes}, {DType::kInt64, sizes}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    (kLargest ? kernels::max_with_indices : kernels::min_with_indices)(in[0], wrap_dim(name, a.dim, in[0].dim()),
                                                                       out[0], out[1]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Shape& sizes = v.sizes(0);
    if (sizes.empty()) return {v.grad()};
    const Shape dims = one_dim(name, a.dim, static_cast<int64_t>(sizes.size()));
    const auto restored = [&](const Tensor& t) { return restore_reduced(t, sizes, dims, a.keepdim); };
    return {scatter_add(Tensor::zeros(sizes, v.dtype(0)), dims[0], restored(v.output(1)), restored(v.grad()))};
  }
};

template <bool kLargest>
struct Max {
  using Attrs = ExtremeAttrs;
  static constexpr auto name = kLargest ? "max" : "min";
  static constexpr auto doc =
      kLargest ? "the largest of all elements, or along dim with its indices, or elementwise of input and other"
               : "the smallest of all elements, or along dim with its indices, or elementwise of input and other";
  static constexpr std::array inputs{input("input"), optional_input("other")};
  static constexpr std::array<std::string_view, 3> order{"input", "other", "keepdim"};
  static constexpr bool differentiable = true;
  static Value call(const AttributeMap& arguments) {
    const Tensor& x = CallArguments(name, arguments).tensor("input");
    AttributeMap plain = arguments;
    const Value other = CallArguments(name, plain).value("other");
    if (other.is_tensor()) {
      if (plain.contains("dim") || plain.contains("keepdim")) {
        fail(name, ": takes other, or dim and keepdim, not both");
      }
      return kLargest ? maximum(x, other.tensor()) : minimum(x, other.tensor());
    }
    // A number in its place is dim.
    if (!other.is_none()) {
      if (plain.contains("dim")) fail(name, ": argument 'dim' is given twice");
      plain["dim"] = other;
    }
    const auto attrs = CallArguments(name, plain).attributes<Attrs>({"input", "other"});
    if (!attrs.dim) {
      if (plain.contains("keepdim")) fail(name, ": keepdim takes dim");
      return apply<MaxAll<kLargest>>({}, {x});
    }
    const Tensors both = apply_all<MaxDim<kLargest>>({.dim = *attrs.dim, .keepdim = attrs.keepdim}, {x});
    return Tuple{both[0], both[1]};
  }
};

struct Aminmax {
  using Attrs = ArgReduceAttrs;
  static constexpr auto name = "aminmax";
  static constexpr auto doc = "the smallest and the largest element over dim; equal ones share the gradient";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("min"), output("max")};
  static constexpr std::array<std::string_view, 1> order{"input"};
  static Tensors compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (!a.dim && x.numel() == 0) {
      fail("aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.");
    }
    if (a.dim) check_not_empty(name, one_dim(name, *a.dim, x.dim()), {x.dtype(), x.sizes(), true});
    ReduceDimsAttrs attrs;
    if (a.dim) attrs.dim = Shape{*a.dim};
    attrs.keepdim = a.keepdim;
    if (x.dim() > 0 || !a.dim || !a.keepdim) return {amin(x, attrs), amax(x, attrs)};
    // Only this one gives a 0-d input a dimension.
    return {reshape(amin(x, attrs), {1}), reshape(amax(x, attrs), {1})};
  }
};

template <bool kLargest>
struct Argmax {
  using Attrs = ArgReduceAttrs;
  static constexpr auto name = kLargest ? "argmax" : "argmin";
  static constexpr auto doc = kLargest ? "where the largest element stands; the first of equal ones"
                                       : "where the smallest element stands; the first of equal ones";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].dtype == DType::kBool) fail(name, ": \"", name, "_cpu\" not implemented for 'Bool'");
    std::optional<Shape> dims;
    if (a.dim) dims = one_dim(name, *a.dim, in[0].dim());
    check_not_empty(name, dims, in[0]);
    return {{DType::kInt64, reduced_sizes(in[0].sizes, dims_of(name, dims, in[0].dim()), a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    std::optional<int64_t> dim;
    if (a.dim && in[0].dim() > 0) dim = wrap_dim(name, *a.dim, in[0].dim());
    (kLargest ? kernels::argmax : kernels::argmin)(in[0], dim, out[0]);
  }
};

const OpFamily kFamily{op_def<Amax<true>>(),   op_def<Amax<false>>(),   op_def<MaxAll<true>>(), op_def<MaxAll<false>>(),
                       op_def<MaxDim<true>>(), op_def<MaxDim<false>>(), op_def<Max<true>>(),    op_def<Max<false>>(),
                       op_def<Aminmax>(),      op_def<Argmax<true>>(),  op_def<Argmax<false>>()};

}  // namespace

Tensor amax(const Tensor& x, const ReduceDimsAttrs& attrs) { return apply<Amax<true>>(attrs, {x}); }
Tensor amin(const Tensor& x, const ReduceDimsAttrs& attrs) { return apply<Amax<false>>(attrs, {x}); }
std::pair<Tensor, Tensor> aminmax(const Tensor& x, const ArgReduceAttrs& attrs) {
  const Tensors both = apply_all<Aminmax>(attrs, {x});
  return {both[0], both[1]};
}
Tensor max(const Tensor& x) { return apply<MaxAll<true>>({}, {x}); }
Tensor min(const Tensor& x) { return apply<MaxAll<false>>({}, {x}); }
std::pair<Tensor, Tensor> max(const Tensor& x, const DimExtremeAttrs& attrs) {
  const Tensors both = apply_all<MaxDim<true>>(attrs, {x});
  return {both[0], both[1]};
}
std::pair<Tensor, Tensor> min(const Tensor& x, const DimExtremeAttrs& attrs) {
  const Tensors both = apply_all<MaxDim<false>>(attrs, {x});
  return {both[0], both[1]};
}
Tensor argmax(const Tensor& x, const ArgReduceAttrs& attrs) { return apply<Argmax<true>>(attrs, {x}); }
Tensor argmin(const Tensor& x, const ArgReduceAttrs& attrs) { return apply<Argmax<false>>(attrs, {x}); }

}  // namespace tapewire
