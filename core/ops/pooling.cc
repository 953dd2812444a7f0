#include "core/ops/pooling.h"

#include "core/base/error.h"
#include "core/kernels/pool.h"
#include "core/ops/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

Shape spread(std::string_view op, const char* name, const Shape& given, size_t spatial) {
  if (given.size() != 1 && given.size() != spatial) {
    fail(op, ": ", name, " must either be a single int, or a tuple of ", spatial, ", got ", to_string(given));
  }
  return given.size() == 1 ? Shape(spatial, given[0]) : given;
}

kernels::PoolParams params_of(std::string_view op, const MaxPoolAttrs& a, size_t spatial) {
  kernels::PoolParams p{spread(op, "kernel_size", a.kernel_size, spatial),
                        {},
                        spread(op, "padding", a.padding, spatial),
                        spread(op, "dilation", a.dilation, spatial)};
  p.stride = a.stride.empty() ? p.kernel : spread(op, "stride", a.stride, spatial);
  constexpr int64_t kMost = int64_t{1} << 40;  // sums of two, and products with small numbers, do not overflow
  for (size_t i = 0; i < spatial; ++i) {
    if (p.kernel[i] < 1) fail(op, ": kernel size should be greater than zero, but got ", to_string(p.kernel));
    if (p.stride[i] < 1) fail(op, ": stride should be greater than zero, but got ", to_string(p.stride));
    if (p.dilation[i] < 1) fail(op, ": dilation should be greater than zero, but got ", to_string(p.dilation));
    int64_t window = 0;
    if (__builtin_mul_overflow(p.dilation[i], p.kernel[i] - 1, &window) || window >= kMost || p.stride[i] > kMost) {
      fail(op, ": kernel size ", p.kernel[i], ", dilation ", p.dilation[i], " or stride ", p.stride[i],
           " is too large");
    }
    if (p.padding[i] < 0 || p.padding[i] > (window + 1) / 2) {
      fail(op, ": pad should be at most half of effective kernel size, but got pad=", p.padding[i],
           ", kernel_size=", p.kernel[i], " and dilation=", p.dilation[i]);
    }
  }
  return p;
}

// ATen's pooling_output_shape.
int64_t pooled_size(std::string_view op, int64_t size, const kernels::PoolParams& p, size_t i, bool ceil_mode) {
  const int64_t window = p.dilation[i] * (p.kernel[i] - 1);
  const int64_t room = size + 2 * p.padding[i] - window - 1 + (ceil_mode ? p.stride[i] - 1 : 0);
  int64_t out = (room >= 0 ? room / p.stride[i] : -((-room + p.stride[i] - 1) / p.stride[i])) + 1;
  // The last window must start inside the input or its left padding.
  if (ceil_mode && (out - 1) * p.stride[i] >= size + p.padding[i]) --out;
  if (out < 1) fail(op, ": output size is too small: input ", size, ", kernel ", p.kernel[i], " at dimension ", i);
  return out;
}

struct PlanesAttrs {
  Shape size;
  static constexpr auto fields() { return std::tuple{field("size", &PlanesAttrs::size, "sizes of the result")}; }
};

// Whether indices [N, C, *] may point into planes of sizes [N, C, *]; the indices' values are the kernel's to check.
void check_planes(std::string_view op, Ints sizes, const Spec& indices) {
  if (indices.dtype != DType::kInt64) fail(op, ": expects int64 indices, got ", name_of(indices.dtype));
  numel_of(sizes);
  if (sizes.size() < 3 || sizes.size() > 5 || indices.sizes.size() != sizes.size() || indices.size(0) != sizes[0] ||
      indices.size(1) != sizes[1]) {
    fail(op, ": indices ", to_string(indices.sizes), " do not fit planes of sizes ", to_string(sizes));
  }
}

// The gradient of picking elements by index out of each spatial plane, and the picking itself: each the other's vjp.
struct ScatterPlanes {
  using Attrs = PlanesAttrs;
  static constexpr auto name = "scatter_planes";
  static constexpr auto doc = "adds each element of input [N, C, *] to where its index says in zeros of sizes size";
  static constexpr std::array inputs{input("input"), input("indices").fixed()};
  static constexpr std::array saves{save_input(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].shape() != in[1].shape()) {
      fail(name, ": expects input and indices of one shape, got ", to_string(in[0]), " and ", to_string(in[1]));
    }
    check_planes(name, a.size, in[1]);
    return {{in[0].dtype, a.size}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::max_pool_backward(in[0], in[1], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v);
};
struct GatherPlanes {
  using Attrs = NoAttrs;
  static constexpr auto name = "gather_planes";
  static constexpr auto doc = "picks elements of input [N, C, *] by their index in each flattened plane";
  static constexpr std::array inputs{input("input"), input("indices").fixed()};
  static constexpr std::array saves{save_input(1)};
  static TensorSpecs infer(const Attrs&, Specs in) {
    check_planes(name, in[0].sizes, in[1]);
    return {{in[0].dtype, in[1].shape()}};
  }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::gather_planes(in[0], in[1], out[0]); }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return {apply<ScatterPlanes>({v.sizes(0)}, {v.grad(), v.input(1)}), Tensor()};
  }
};
Tensors ScatterPlanes::vjp(const Attrs&, const Vjp& v) {
  return {apply<GatherPlanes>({}, {v.grad(), v.input(1)}), Tensor()};
}

struct MaxPool {
  using Attrs = MaxPoolAttrs;
  static constexpr auto name = "max_pool";
  static constexpr auto doc = "the largest of each window of [N, C, *]";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("output"), output("indices").hidden().no_grad()};
  static constexpr std::array saves{save_output(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].dim() < 3 || in[0].dim() > 5 || in[0].dtype == DType::kBool) {
      fail(name, ": expects input [N, C, *] of numbers with one to three spatial dimensions, got ", to_string(in[0]));
    }
    const size_t spatial = in[0].sizes.size() - 2;
    const kernels::PoolParams p = params_of(name, a, spatial);
    Shape out{in[0].size(0), in[0].size(1)};
    for (size_t i = 0; i < spatial; ++i) out.push_back(pooled_size(name, in[0].size(i + 2), p, i, a.ceil_mode));
    return {{in[0].dtype, out}, {DType::kInt64, out}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::max_pool(in[0], params_of(name, a, in[0].sizes().size() - 2), out[0], out[1]);
  }
  static Tensors vjp(const Attrs&, const Vjp& v) {
    return {apply<ScatterPlanes>({v.sizes(0)}, {v.grad(), v.output(1)})};
  }
};

struct MaxPool2d {
  using Attrs = MaxPoolAttrs;
  static constexpr auto name = "max_pool2d";
  static constexpr auto doc = "the largest of each window of [N, C, H, W] or [C, H, W]";
  static constexpr std::array inputs{input("input")};
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& x = in[0];
    if (x.dim() != 3 && x.dim() != 4) {
      fail(name, ": Expected 3D or 4D (batch mode) tensor for input, but got ", to_string(x.sizes()));
    }
    for (int64_t d = 1; d < x.dim(); ++d) {
      if (x.size(x.dim() - d) == 0) {
        fail(name, ": Expected tensor with optional 0 dim batch size for input, but got ", to_string(x.sizes()));
      }
    }
    if (x.dim() == 4) return apply<MaxPool>(a, {x});
    return squeeze(apply<MaxPool>(a, {unsqueeze(x, 0)}), 0);
  }
};

const OpFamily kFamily{op_def<ScatterPlanes>(), op_def<GatherPlanes>(), op_def<MaxPool>(), op_def<MaxPool2d>()};

}  // namespace

Tensor max_pool2d(const Tensor& x, const MaxPoolAttrs& attrs) { return apply<MaxPool2d>(attrs, {x}); }

}  // namespace tapewire
