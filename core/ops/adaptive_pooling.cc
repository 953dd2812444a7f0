#include "core/ops/adaptive_pooling.h"

#include "core/base/error.h"
#include "core/kernels/adaptive_pool.h"
#include "core/ops/planes.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

struct PoolToAttrs {
  Shape size;
  static constexpr auto fields() {
    return std::tuple{required_field("size", &PoolToAttrs::size, "all sizes of the result")};
  }
};

// Whether [N, C, *] of sizes `full` can be pooled to `pooled`.
void check_sizes(std::string_view op, Ints full, Ints pooled) {
  numel_of(full);
  numel_of(pooled);
  bool fits = full.size() >= 3 && full.size() <= 5 && pooled.size() == full.size();
  for (size_t i = 0; fits && i < 2; ++i) fits = full[i] == pooled[i];
  for (size_t i = 2; fits && i < full.size(); ++i) fits = full[i] > 0;
  if (!fits) fail(op, ": cannot pool ", to_string(full), " to ", to_string(pooled));
}

// Linear, so it and its transpose close the set for every order.
struct AdaptiveAvgPool {
  using Attrs = PoolToAttrs;
  static constexpr auto name = "adaptive_avg_pool";
  static constexpr auto doc = "the means of [N, C, *] over windows that give sizes size";
  static constexpr std::array inputs{input("input")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
    check_sizes(name, in[0].sizes, a.size);
    return {{in[0].dtype, a.size}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::adaptive_avg_pool(in[0], a.size.size() - 2, out[0]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v);
};

struct AdaptiveAvgPoolBackward {
  using Attrs = PoolToAttrs;
  static constexpr auto name = "adaptive_avg_pool_backward";
  static constexpr auto doc = "the gradient of adaptive_avg_pool by its input, which has sizes size";
  static constexpr std::array inputs{input("grad")};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (!is_floating(in[0].dtype)) fail(name, ": expects float32 or float64, got ", name_of(in[0].dtype));
    check_sizes(name, a.size, in[0].sizes);
    return {{in[0].dtype, a.size}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::adaptive_avg_pool_backward(in[0], a.size.size() - 2, out[0]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {apply<AdaptiveAvgPool>({v.sizes(0)}, {v.grad()})}; }
};

Tensors AdaptiveAvgPool::vjp(const Attrs&, const Vjp& v) {
  return {apply<AdaptiveAvgPoolBackward>({v.sizes(0)}, {v.grad()})};
}

struct AdaptiveMaxPool {
  using Attrs = PoolToAttrs;
  static constexpr auto name = "adaptive_max_pool_with_indices";
  static constexpr auto doc = "the largest of [N, C, *] over windows that give sizes size, and where it stands";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("output"), output("indices").no_grad()};
  static constexpr std::array saves{save_output(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].dtype == DType::kBool) fail(name, ": expects numbers, got bool");
    check_sizes(name, in[0].sizes, a.size);
    return {{in[0].dtype, a.size}, {DType::kInt64, a.size}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::adaptive_max_pool(in[0], a.size.size() - 2, out[0], out[1]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {scatter_planes(v.grad(), v.output(1), v.sizes(0))}; }
};

// Calls f with x [N, C, *] and the sizes of the result, whether the batch dimension is there or not.
template <class F>
Tensors pooled_to(std::string_view op, const Tensor& x, const PooledSize& given, int64_t spatial, const F& f) {
  if (x.dim() != spatial + 1 && x.dim() != spatial + 2) {
    fail(op, ": Expected ", spatial + 1, "D or ", spatial + 2, "D tensor, but got ", to_string(x.sizes()));
  }
  if (given.size() != 1 && given.size() != static_cast<size_t>(spatial)) {
    fail(op, ": output_size must be ", spatial, " ints or one, got ", AttributeType<PooledSize>::to(given).repr());
  }
  const bool batched = x.dim() == spatial + 2;
  const Tensor all = batched ? x : unsqueeze(x, 0);
  Shape size{all.size(0), all.size(1)};
  for (int64_t i = 0; i < spatial; ++i) {
    const int64_t own = all.size(i + 2);
    if (own == 0) {
      fail(op, ": Expected input to have non-zero size for non-batch dimensions, but input has sizes ",
           to_string(x.sizes()), " with dimension ", x.dim() - spatial + i, " being empty");
    }
    const int64_t wanted = given[given.size() == 1 ? 0 : static_cast<size_t>(i)].value_or(own);
    if (wanted < 0) {
      fail(op, ": elements of output_size must be greater than or equal to 0 but received ", wanted);
    }
    size.push_back(wanted);
  }
  Tensors out = f(all, size);
  for (Tensor& y : out) y = batched ? y : squeeze(y, 0);
  return out;
}

template <int64_t kSpatial>
struct AdaptiveAvgPoolNd {
  using Attrs = AdaptivePoolAttrs;
  static constexpr auto name = kSpatial == 1   ? "adaptive_avg_pool1d"
                               : kSpatial == 2 ? "adaptive_avg_pool2d"
                                               : "adaptive_avg_pool3d";
  static constexpr auto doc = "the means of [N, C, *] or [C, *] over windows that give output_size";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    return pooled_to(name, in[0], a.output_size, kSpatial,
                     [](const Tensor& x, const Shape& size) { return apply_all<AdaptiveAvgPool>({size}, {x}); })[0];
  }
};

template <int64_t kSpatial>
struct AdaptiveMaxPoolNd {
  using Attrs = AdaptiveMaxPoolAttrs;
  static constexpr auto name = kSpatial == 1   ? "adaptive_max_pool1d"
                               : kSpatial == 2 ? "adaptive_max_pool2d"
                                               : "adaptive_max_pool3d";
  static constexpr auto doc = "the largest of [N, C, *] or [C, *] over windows that give output_size";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("output"), output("indices").no_grad()};
  static Tensors compose(const Attrs& a, Inputs in) {
    Tensors out = pooled_to(name, in[0], a.output_size, kSpatial,
                            [](const Tensor& x, const Shape& size) { return apply_all<AdaptiveMaxPool>({size}, {x}); });
    if (!a.return_indices) out.resize(1);
    return out;
  }
};

const OpFamily kFamily{
    op_def<AdaptiveAvgPool>(),      op_def<AdaptiveAvgPoolBackward>(), op_def<AdaptiveMaxPool>(),
    op_def<AdaptiveAvgPoolNd<1>>(), op_def<AdaptiveAvgPoolNd<2>>(),    op_def<AdaptiveAvgPoolNd<3>>(),
    op_def<AdaptiveMaxPoolNd<1>>(), op_def<AdaptiveMaxPoolNd<2>>(),    op_def<AdaptiveMaxPoolNd<3>>()};

template <int64_t kSpatial>
Tensor average(const Tensor& x, const PooledSize& size) {
  return apply<AdaptiveAvgPoolNd<kSpatial>>({size}, {x});
}
AdaptiveMaxPoolAttrs max_attrs(const PooledSize& size, bool return_indices) {
  AdaptiveMaxPoolAttrs attrs;
  attrs.output_size = size;
  attrs.return_indices = return_indices;
  return attrs;
}
template <int64_t kSpatial>
Tensor largest(const Tensor& x, const PooledSize& size) {
  return apply<AdaptiveMaxPoolNd<kSpatial>>(max_attrs(size, false), {x});
}

}  // namespace

PooledSize AttributeType<PooledSize>::from(const Value& v) {
  const auto one = [](const Value& size) -> std::optional<int64_t> {
    if (size.is_none()) return std::nullopt;
    if (!size.is_int()) fail("expected ints or none, got ", size.describe());
    return size.integer();
  };
  if (!v.is_tuple()) return {one(v)};
  PooledSize out;
  for (const Value& item : v.tuple()) out.push_back(one(item));
  return out;
}

Value AttributeType<PooledSize>::to(const PooledSize& v) {
  Tuple out;
  for (const std::optional<int64_t>& size : v) {
    out.emplace_back();
    if (size) out.back() = Value(*size);
  }
  return out;
}

Tensors adaptive_max_pool_with_indices(const Tensor& x, size_t spatial, const PooledSize& size) {
  const AdaptiveMaxPoolAttrs attrs = max_attrs(size, true);
  return spatial == 1   ? apply_all<AdaptiveMaxPoolNd<1>>(attrs, {x})
         : spatial == 2 ? apply_all<AdaptiveMaxPoolNd<2>>(attrs, {x})
                        : apply_all<AdaptiveMaxPoolNd<3>>(attrs, {x});
}

Tensor adaptive_avg_pool1d(const Tensor& x, const PooledSize& size) { return average<1>(x, size); }
Tensor adaptive_avg_pool2d(const Tensor& x, const PooledSize& size) { return average<2>(x, size); }
Tensor adaptive_avg_pool3d(const Tensor& x, const PooledSize& size) { return average<3>(x, size); }
Tensor adaptive_max_pool1d(const Tensor& x, const PooledSize& size) { return largest<1>(x, size); }
Tensor adaptive_max_pool2d(const Tensor& x, const PooledSize& size) { return largest<2>(x, size); }
Tensor adaptive_max_pool3d(const Tensor& x, const PooledSize& size) { return largest<3>(x, size); }

}  // namespace tapewire
