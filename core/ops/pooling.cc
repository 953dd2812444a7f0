#include "core/ops/pooling.h"

#include "core/ops/planes.h"
#include "core/ops/pooling_support.h"
#include "core/ops/registry.h"

namespace tapewire {

kernels::PoolParams window_of(std::string_view op, const Shape& kernel, const std::optional<Shape>& stride,
                              const Shape& padding, const Shape& dilation, size_t spatial) {
  kernels::PoolParams p{window_sizes(op, "kernel_size", kernel, spatial),
                        {},
                        window_sizes(op, "padding", padding, spatial),
                        window_sizes(op, "dilation", dilation, spatial)};
  p.stride = !stride || stride->empty() ? p.kernel : window_sizes(op, "stride", *stride, spatial);
  constexpr int64_t kMost = int64_t{1} << 40;  // sums of two, and products with small numbers, do not overflow
  int64_t elements = 1;
  for (size_t i = 0; i < spatial; ++i) {
    if (p.kernel[i] < 1) fail(op, ": kernel_size must be greater than zero, but got ", to_string(p.kernel));
    if (p.stride[i] < 1) fail(op, ": stride must be greater than zero, but got ", to_string(p.stride));
    if (p.dilation[i] < 1) fail(op, ": dilation must be greater than zero, but got ", to_string(p.dilation));
    int64_t window = 0;
    if (__builtin_mul_overflow(p.dilation[i], p.kernel[i] - 1, &window) || window >= kMost || p.stride[i] > kMost ||
        __builtin_mul_overflow(elements, p.kernel[i], &elements)) {
      fail(op, ": kernel size ", p.kernel[i], ", dilation ", p.dilation[i], " or stride ", p.stride[i],
           " is too large");
    }
    if (p.padding[i] < 0) fail(op, ": pad must be non-negative, but got pad: ", p.padding[i]);
    if (p.padding[i] > (window + 1) / 2) {
      fail(op, ": pad should be at most half of effective kernel size, but got pad=", p.padding[i],
           ", kernel_size=", p.kernel[i], " and dilation=", p.dilation[i]);
    }
  }
  return p;
}

Shape pooled_sizes(std::string_view op, Ints sizes, const kernels::PoolParams& p, bool ceil_mode) {
  Shape out{sizes[0], sizes[1]};
  for (size_t i = 0; i < p.kernel.size(); ++i) {
    const int64_t size = sizes[i + 2];
    const int64_t window = p.dilation[i] * (p.kernel[i] - 1);
    const int64_t room = size + 2 * p.padding[i] - window - 1 + (ceil_mode ? p.stride[i] - 1 : 0);
    int64_t count = (room >= 0 ? room / p.stride[i] : -((-room + p.stride[i] - 1) / p.stride[i])) + 1;
    // The last window must start inside the input or its left padding.
    if (ceil_mode && (count - 1) * p.stride[i] >= size + p.padding[i]) --count;
    if (count < 1) {
      fail(op, ": Given input size: ", to_string(sizes), ". Calculated output size: ", count, " at dimension ", i,
           ". Output size is too small");
    }
    out.push_back(count);
  }
  return out;
}

namespace {

struct MaxPool {
  using Attrs = MaxPoolAttrs;
  static constexpr auto name = "max_pool_with_indices";
  static constexpr auto doc = "the largest of each window of [N, C, *], and where it stands";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("output"), output("indices").no_grad()};
  static constexpr std::array saves{save_output(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].dim() < 3 || in[0].dim() > 5 || in[0].dtype == DType::kBool) {
      fail(name, ": expects input [N, C, *] of numbers with one to three spatial dimensions, got ", to_string(in[0]));
    }
    const Shape out = pooled_sizes(name, in[0].sizes, params(a, in[0].sizes), a.ceil_mode);
    return {{in[0].dtype, out}, {DType::kInt64, out}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::max_pool(in[0], params(a, in[0].sizes()), out[0], out[1]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) { return {scatter_planes(v.grad(), v.output(1), v.sizes(0))}; }

  static kernels::PoolParams params(const Attrs& a, Ints sizes) {
    return window_of(name, a.kernel_size, a.stride, a.padding, a.dilation, sizes.size() - 2);
  }
};

template <int64_t kSpatial>
struct MaxPoolNd {
  using Attrs = MaxPoolAttrs;
  static constexpr auto name = kSpatial == 1 ? "max_pool1d" : kSpatial == 2 ? "max_pool2d" : "max_pool3d";
  static constexpr auto doc = "the largest of each window of [N, C, *] or [C, *]";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("output"), output("indices").no_grad()};
  static Tensors compose(const Attrs& a, Inputs in) {
    Tensors out = pooled_batch(name, in[0], kSpatial, [&](const Tensor& x) { return apply_all<MaxPool>(a, {x}); });
    if (!a.return_indices) out.resize(1);
    return out;
  }
};

const OpFamily kFamily{op_def<MaxPool>(), op_def<MaxPoolNd<1>>(), op_def<MaxPoolNd<2>>(), op_def<MaxPoolNd<3>>()};

}  // namespace

Tensors max_pool_with_indices(const Tensor& x, size_t spatial, MaxPoolAttrs attrs) {
  attrs.return_indices = true;
  return spatial == 1   ? apply_all<MaxPoolNd<1>>(attrs, {x})
         : spatial == 2 ? apply_all<MaxPoolNd<2>>(attrs, {x})
                        : apply_all<MaxPoolNd<3>>(attrs, {x});
}

Tensor max_pool1d(const Tensor& x, const MaxPoolAttrs& attrs) { return apply<MaxPoolNd<1>>(attrs, {x}); }
Tensor max_pool2d(const Tensor& x, const MaxPoolAttrs& attrs) { return apply<MaxPoolNd<2>>(attrs, {x}); }
Tensor max_pool3d(const Tensor& x, const MaxPoolAttrs& attrs) { return apply<MaxPoolNd<3>>(attrs, {x}); }

}  // namespace tapewire
