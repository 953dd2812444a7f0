#include "core/ops/reduction.h"

#include "core/kernels/binary.h"
#include "core/kernels/reduce.h"
#include "core/ops/arithmetic.h"
#include "core/ops/pointwise.h"
#include "core/ops/reduction_support.h"
#include "core/ops/registry.h"
#include "core/ops/scan.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

constexpr std::array<std::string_view, 3> kDimOrder{"input", "dim", "keepdim"};

// The dtype of a sum or a product.
DType accumulated_dtype(const std::optional<DType>& asked, DType own) {
  return asked ? *asked : is_floating(own) ? own : DType::kInt64;
}

// What a sum or product with a dtype adds up. Between integers it is the same whether they are converted first or last.
Tensor accumulated_input(const Tensor& x, DType dtype) {
  return is_integral(x.dtype()) && is_integral(dtype) ? x : converted(x, dtype);
}

struct Sum {
  using Attrs = ReduceAttrs;
  static constexpr auto name = "sum";
  static constexpr auto doc = "the sum over dim; bool and integers sum to int64";
  static constexpr std::array inputs{input("input")};
  static constexpr auto order = kDimOrder;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const Shape dims = dims_of(name, a.dim, in[0].dim());
    return {{accumulated_dtype(a.dtype, in[0].dtype), reduced_sizes(in[0].sizes, dims, a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Tensor x = a.dtype ? accumulated_input(in[0], *a.dtype) : in[0];
    kernels::sum(x, dims_of(name, a.dim, x.dim()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Shape& sizes = v.sizes(0);
    return {expand_reduced(v.grad(), sizes, dims_of(name, a.dim, static_cast<int64_t>(sizes.size())), a.keepdim)};
  }
};

struct Mean {
  using Attrs = ReduceAttrs;
  static constexpr auto name = "mean";
  static constexpr auto doc = "the mean over dim";
  static constexpr std::array inputs{input("input")};
  static constexpr auto order = kDimOrder;
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const DType dtype = a.dtype.value_or(in[0].dtype);
    if (!is_floating(dtype)) {
      fail("mean(): could not infer output dtype. ", a.dtype ? "Optional" : "Input",
           " dtype must be either a floating point or complex dtype. Got: ", scalar_type_name(dtype));
    }
    return {{dtype, reduced_sizes(in[0].sizes, dims_of(name, a.dim, in[0].dim()), a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::mean(converted(in[0], out[0].dtype()), dims_of(name, a.dim, in[0].dim()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Shape& sizes = v.sizes(0);
    const Shape dims = dims_of(name, a.dim, static_cast<int64_t>(sizes.size()));
    const Tensor each = div(v.grad(), static_cast<double>(count_reduced(sizes, dims)));
    return {expand_reduced(each, sizes, dims, a.keepdim)};
  }
};

// 0, ..., 0, 1 along dimension `dim` of tensors of these sizes.
Tensor last_place(Ints sizes, size_t dim, DType dtype) {
  Shape ones(sizes.size(), 1);
  ones[dim] = sizes[dim];
  const Tensor out = Tensor::zeros(ones, dtype);
  if (sizes[dim] == 0) return out;
  dispatch_floating("prod", dtype, [&]<class T>(TypeTag<T>) { out.mutable_data<T>()[sizes[dim] - 1] = T{1}; });
  return out;
}

struct Prod {
  using Attrs = ProdAttrs;
  static constexpr auto name = "prod";
  static constexpr auto doc = "the product over dim; bool and integers multiply to int64";
  static constexpr std::array inputs{input("input")};
  static constexpr auto order = kDimOrder;
  static constexpr std::array saves{save_input(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    return {{accumulated_dtype(a.dtype, in[0].dtype), reduced_sizes(in[0].sizes, dims(a, in[0].dim()), a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    const Tensor x = a.dtype ? accumulated_input(in[0], *a.dtype) : in[0];
    kernels::prod(x, a.dim ? one_dim(name, *a.dim, x.dim()) : Shape{}, out[0]);
  }
  // A product is the last element of cumprod, whose gradient divides by nothing.
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor g = v.grad();
    const Shape& sizes = v.sizes(0);
    if (sizes.empty()) return {reshape(g, {})};
    Tensor x = to(v.input(0), g.dtype());
    Tensor each = restore_reduced(g, sizes, dims(a, x.dim()), a.keepdim);
    int64_t dim = 0;
    if (a.dim) {
      dim = wrap_dim(name, *a.dim, x.dim());
    } else {
      x = reshape(x, {x.numel()});
      each = reshape(each, {1});
    }
    const Tensor last = mul(each, last_place(x.sizes(), static_cast<size_t>(dim), g.dtype()));
    const Tensor before = shift(cumprod(x, {.dim = dim}), {.dim = dim, .by = 1, .fill = 1});
    return {reshape(mul(before, linear_recurrence(x, last, {.dim = dim, .reverse = true})), sizes)};
  }
  static Shape dims(const Attrs& a, int64_t rank) {
    return a.dim ? one_dim(name, *a.dim, rank) : wrap_dims(name, {}, rank);
  }
};

struct Logsumexp {
  using Attrs = LogsumexpAttrs;
  static constexpr auto name = "logsumexp";
  static constexpr auto doc = "log(sum(exp(input))) over dim, stable";
  static constexpr std::array inputs{input("input")};
  static constexpr auto promotion = Promotion::kFloat;
  static constexpr std::array saves{save_input(0), save_output(0)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    return {{in[0].dtype, reduced_sizes(in[0].sizes, wrap_dims(name, a.dim, in[0].dim()), a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::logsumexp(in[0], wrap_dims(name, a.dim, in[0].dim()), out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) {
    const Tensor x = v.input(0);
    const Shape dims = wrap_dims(name, a.dim, x.dim());
    const auto restored = [&](const Tensor& t) { return restore_reduced(t, x.sizes(), dims, a.keepdim); };
    return {mul(restored(v.grad()), exp(sub(x, restored(v.output(0)))))};
  }
};

// all and any.
template <bool kAll>
struct Logic {
  using Attrs = ReduceDimsAttrs;
  static constexpr auto name = kAll ? "all" : "any";
  static constexpr auto doc =
      kAll ? "whether every element over dim is not zero" : "whether some element over dim is not zero";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    const DType dtype = in[0].dtype == DType::kUInt8 ? DType::kUInt8 : DType::kBool;
    return {{dtype, reduced_sizes(in[0].sizes, dims_of(name, a.dim, in[0].dim()), a.keepdim)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    (kAll ? kernels::all : kernels::any)(in[0], dims_of(name, a.dim, in[0].dim()), out[0]);
  }
};

struct CountNonzero {
  using Attrs = CountNonzeroAttrs;
  static constexpr auto name = "count_nonzero";
  static constexpr auto doc = "how many elements over dim are not zero";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    return {{DType::kInt64, reduced_sizes(in[0].sizes, dims_of(name, a.dim, in[0].dim()), false)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::count_nonzero(in[0], dims_of(name, a.dim, in[0].dim()), out[0]);
  }
};

const OpFamily kFamily{op_def<Sum>(),         op_def<Mean>(),         op_def<Prod>(),        op_def<Logsumexp>(),
                       op_def<Logic<true>>(), op_def<Logic<false>>(), op_def<CountNonzero>()};

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

Tensor restore_reduced(const Tensor& x, Ints input_sizes, Ints dims, bool keepdim) {
  return keepdim ? x : reshape(x, reduced_sizes(input_sizes, dims, true));
}

Tensor expand_reduced(const Tensor& x, Ints input_sizes, Ints dims, bool keepdim) {
  return expand(restore_reduced(x, input_sizes, dims, keepdim), input_sizes);
}

Tensor sum(const Tensor& x, const ReduceAttrs& attrs) { return apply<Sum>(attrs, {x}); }
Tensor mean(const Tensor& x, const ReduceAttrs& attrs) { return apply<Mean>(attrs, {x}); }
Tensor prod(const Tensor& x, const ProdAttrs& attrs) { return apply<Prod>(attrs, {x}); }
Tensor logsumexp(const Tensor& x, const LogsumexpAttrs& attrs) { return apply<Logsumexp>(attrs, {x}); }
Tensor all(const Tensor& x, const ReduceDimsAttrs& attrs) { return apply<Logic<true>>(attrs, {x}); }
Tensor any(const Tensor& x, const ReduceDimsAttrs& attrs) { return apply<Logic<false>>(attrs, {x}); }
Tensor count_nonzero(const Tensor& x, const CountNonzeroAttrs& attrs) { return apply<CountNonzero>(attrs, {x}); }

}  // namespace tapewire
