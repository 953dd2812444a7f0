#include "core/ops/reduction.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/kernels/binary.h"
#include "core/kernels/reduce.h"
#include "core/ops/arithmetic.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

Shape dims_of(std::string_view op, const ReduceAttrs& a, int64_t dims) {
  return wrap_dims(op, a.dim ? Ints(*a.dim) : Ints(), dims);
}

int64_t count_reduced(Ints sizes, Ints dims) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= sizes[static_cast<size_t>(d)];
  return count;
}

struct Sum {
  using Attrs = ReduceAttrs;
  static constexpr auto name = "sum";
  static constexpr auto doc = "the sum over dim; bool and integers sum to int64";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const DType dtype = a.dtype ? *a.dtype : is_floating(in[0].dtype) ? in[0].dtype : DType::kInt64;
    return {{dtype, reduced_sizes(in[0].sizes, dims_of(name, a, in[0].dim()), a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::sum(in[0], dims_of(name, a, in[0].dim()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Shape& sizes = v.sizes(0);
    return {expand_reduced(v.grad(), sizes, dims_of(name, a, static_cast<int64_t>(sizes.size())), a.keepdim)};
  }
};

struct Mean {
  using Attrs = ReduceAttrs;
  static constexpr auto name = "mean";
  static constexpr auto doc = "the mean over dim";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const DType dtype = a.dtype.value_or(in[0].dtype);
    if (!is_floating(dtype)) {
      fail("mean: could not infer output dtype. Input dtype must be a floating point dtype. Got: ", name_of(dtype));
    }
    return {{dtype, reduced_sizes(in[0].sizes, dims_of(name, a, in[0].dim()), a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Shape dims = dims_of(name, a, in[0].dim());
    kernels::sum(in[0], dims, out[0]);
    const auto count = static_cast<double>(count_reduced(in[0].sizes(), dims));
    kernels::binary(kernels::BinaryOp::kDiv, out[0], Tensor::scalar(count, out[0].dtype()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Shape& sizes = v.sizes(0);
    const Shape dims = dims_of(name, a, static_cast<int64_t>(sizes.size()));
    const Tensor each = div(v.grad(), static_cast<double>(count_reduced(sizes, dims)));
    return {expand_reduced(each, sizes, dims, a.keepdim)};
  }
};

struct Argmax {
  using Attrs = ArgReduceAttrs;
  static constexpr auto name = "argmax";
  static constexpr auto doc = "where the largest element stands; the first of equal ones";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].numel() == 0 && !a.dim) {
      fail(
          "argmax: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
          "'dim' argument.");
    }
    if (!a.dim) return {{DType::kInt64, a.keepdim ? Shape(in[0].sizes.size(), 1) : Shape{}}};
    const int64_t dim = wrap_dim(name, *a.dim, in[0].dim());
    return {{DType::kInt64, in[0].dim() == 0 ? Shape{} : reduced_sizes(in[0].sizes, Shape{dim}, a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    std::optional<int64_t> dim;
    if (a.dim && in[0].dim() > 0) dim = wrap_dim(name, *a.dim, in[0].dim());
    kernels::argmax(in[0], dim, out[0]);
  }
};

const OpFamily kFamily{op_def<Sum>(), op_def<Mean>(), op_def<Argmax>()};

}  // namespace

Shape reduced_sizes(Ints sizes, Ints dims, bool keepdim) {
  Shape out;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (std::ranges::find(dims, static_cast<int64_t>(i)) == dims.end()) {
      out.push_back(sizes[i]);
    } else if (keepdim) {
      out.push_back(1);
    }
  }
  return out;
}

Tensor expand_reduced(const Tensor& grad, Ints input_sizes, Ints dims, bool keepdim) {
  if (keepdim) return expand(grad, input_sizes);
  return expand(reshape(grad, reduced_sizes(input_sizes, dims, true)), input_sizes);
}

Tensor sum(const Tensor& x, const ReduceAttrs& attrs) { return apply<Sum>(attrs, {x}); }
Tensor mean(const Tensor& x, const ReduceAttrs& attrs) { return apply<Mean>(attrs, {x}); }
Tensor argmax(const Tensor& x, const ArgReduceAttrs& attrs) { return apply<Argmax>(attrs, {x}); }

}  // namespace tapewire
