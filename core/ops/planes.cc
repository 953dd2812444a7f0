#include "core/ops/planes.h"

#include "core/base/error.h"
#include "core/kernels/pool.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

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

const OpFamily kFamily{op_def<ScatterPlanes>(), op_def<GatherPlanes>()};

}  // namespace

Tensor gather_planes(const Tensor& x, const Tensor& indices) { return apply<GatherPlanes>({}, {x, indices}); }
Tensor scatter_planes(const Tensor& x, const Tensor& indices, Ints size) {
  return apply<ScatterPlanes>({Shape(size.begin(), size.end())}, {x, indices});
}

}  // namespace tapewire
