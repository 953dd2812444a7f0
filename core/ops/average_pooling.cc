#include "core/ops/average_pooling.h"

#include "core/ops/pooling_support.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

kernels::PoolParams params_of(std::string_view op, const AvgPoolAttrs& a, Ints sizes) {
  const size_t spatial = sizes.size() - 2;
  kernels::PoolParams p = window_of(op, a.kernel_size, a.stride, a.padding, {1}, spatial);
  for (size_t i = 0; i < spatial; ++i) {
    if (p.padding[i] > p.kernel[i] / 2) {
      fail(op, ": pad should be at most half of kernel size, but got pad=", p.padding[i],
           " and kernel_size=", p.kernel[i]);
    }
  }
  if (a.divisor_override == 0) fail(op, ": divisor must be not zero");
  return p;
}

struct AvgPoolBackwardAttrs : AvgPoolAttrs {
  Shape size;
  static constexpr auto fields() {
    return std::tuple_cat(AvgPoolAttrs::fields(),
                          std::tuple{required_field("size", &AvgPoolBackwardAttrs::size, "sizes of the result")});
  }
};

// Linear, so it and its transpose close the set for every order.
struct AvgPool {
  using Attrs = AvgPoolAttrs;
  static constexpr auto name = "avg_pool";
  static constexpr auto doc = "the mean of each window of [N, C, *]";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].dim() < 3 || in[0].dim() > 5) {
      fail(name, ": expects input [N, C, *] with one to three spatial dimensions, got ", to_string(in[0]));
    }
    if (!is_floating(in[0].dtype) && in[0].dtype != DType::kInt64) {
      fail(name, ": expects float32, float64 or int64, got ", name_of(in[0].dtype));
    }
    return {{in[0].dtype, pooled_sizes(name, in[0].sizes, params_of(name, a, in[0].sizes), a.ceil_mode)}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::avg_pool(in[0], params_of(name, a, in[0].sizes()), a.count_include_pad, a.divisor_override, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};

struct AvgPoolBackward {
  using Attrs = AvgPoolBackwardAttrs;
  static constexpr auto name = "avg_pool_backward";
  static constexpr auto doc = "the gradient of avg_pool by its input, which has sizes size";
  static constexpr std::array inputs{input("grad")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    numel_of(a.size);
    if (a.size.size() < 3 || a.size.size() > 5) {
      fail(name, ": expects a size [N, C, *] with one to three spatial dimensions, got ", to_string(a.size));
    }
    const Shape pooled = pooled_sizes(name, a.size, params_of(name, a, a.size), a.ceil_mode);
    if (!is_floating(in[0].dtype) || in[0].shape() != pooled) {
      fail(name, ": expects grad ", to_string(pooled), " of float32 or float64, got ", to_string(in[0]));
    }
    return {{in[0].dtype, a.size}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::avg_pool_backward(in[0], params_of(name, a, a.size), a.count_include_pad, a.divisor_override, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return {apply<AvgPool>(a, {v.grad()})}; }
};

Tensors AvgPool::vjp(const Attrs& a, const Vjp& v) {
  AvgPoolBackwardAttrs back;
  static_cast<AvgPoolAttrs&>(back) = a;
  back.size = v.sizes(0);
  return {apply<AvgPoolBackward>(back, {v.grad()})};
}

template <int64_t kSpatial>
struct AvgPoolNd {
  using Attrs = std::conditional_t<kSpatial == 1, AvgPool1dAttrs, AvgPoolAttrs>;
  static constexpr auto name = kSpatial == 1 ? "avg_pool1d" : kSpatial == 2 ? "avg_pool2d" : "avg_pool3d";
  static constexpr auto doc = "the mean of each window of [N, C, *] or [C, *]";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    AvgPoolAttrs all;
    static_cast<Attrs&>(all) = a;
    return pooled_batch(name, in[0], kSpatial, [&](const Tensor& x) { return apply_all<AvgPool>(all, {x}); })[0];
  }
};

const OpFamily kFamily{op_def<AvgPool>(), op_def<AvgPoolBackward>(), op_def<AvgPoolNd<1>>(), op_def<AvgPoolNd<2>>(),
                       op_def<AvgPoolNd<3>>()};

}  // namespace

Tensor avg_pool1d(const Tensor& x, const AvgPool1dAttrs& attrs) { return apply<AvgPoolNd<1>>(attrs, {x}); }
Tensor avg_pool2d(const Tensor& x, const AvgPoolAttrs& attrs) { return apply<AvgPoolNd<2>>(attrs, {x}); }
Tensor avg_pool3d(const Tensor& x, const AvgPoolAttrs& attrs) { return apply<AvgPoolNd<3>>(attrs, {x}); }

}  // namespace tapewire
