#include "core/ops/sort.h"

#include "core/base/error.h"
#include "core/kernels/sort.h"
#include "core/ops/gather.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

// The gradient of elements picked along dim, whose places are output 1.
Tensors selected_vjp(int64_t dim, const Vjp& v) {
  const Shape& sizes = v.sizes(0);
  if (sizes.empty()) return {v.grad()};
  return {scatter_add(Tensor::zeros(sizes, v.dtype(0)), dim, v.output(1), v.grad())};
}

struct Sort {
  using Attrs = SortAttrs;
  static constexpr auto name = "sort";
  static constexpr auto doc = "the elements along dim in order, and where they stood";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("values"), output("indices").no_grad()};
  static constexpr std::array<std::string_view, 3> order{"input", "dim", "descending"};
  static constexpr std::array saves{save_output(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    wrap_dim(name, a.dim, in[0].dim());
    return {{in[0].dtype, in[0].shape()}, {DType::kInt64, in[0].shape()}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::sort(in[0], wrap_dim(name, a.dim, in[0].dim()), a.descending, a.stable, out[0], out[1]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return selected_vjp(a.dim, v); }
};

struct Topk {
  using Attrs = TopkAttrs;
  static constexpr auto name = "topk";
  static constexpr auto doc = "the k largest or smallest elements along dim, and where they stood";
  static constexpr std::array inputs{input("input")};
  static constexpr std::array outputs{output("values"), output("indices").no_grad()};
  static constexpr std::array saves{save_output(1)};
  static TensorSpecs infer(const Attrs& a, Specs in) {
    if (in[0].dtype == DType::kBool) fail("topk: not implemented for dtype bool");
    const int64_t dim = wrap_dim(name, a.dim, in[0].dim());
    Shape sizes = in[0].shape();
    const int64_t size = sizes.empty() ? 1 : sizes[static_cast<size_t>(dim)];
    if (a.k < 0 || a.k > size || (sizes.empty() && a.k != 1)) {
      fail("topk: selected index k out of range: ", a.k, " of ", size);
    }
    if (!sizes.empty()) sizes[static_cast<size_t>(dim)] = a.k;
    return {{in[0].dtype, sizes}, {DType::kInt64, sizes}};
  }
  static void eval(const Attrs& a, Inputs in, Outputs out) {
    kernels::topk(in[0], wrap_dim(name, a.dim, in[0].dim()), a.largest, out[0], out[1]);
  }
  static Tensors vjp(const Attrs& a, const Vjp& v) { return selected_vjp(a.dim, v); }
};

const OpFamily kFamily{op_def<Sort>(), op_def<Topk>()};

}  // namespace

std::pair<Tensor, Tensor> sort(const Tensor& x, const SortAttrs& attrs) {
  const Tensors both = apply_all<Sort>(attrs, {x});
  return {both[0], both[1]};
}
std::pair<Tensor, Tensor> topk(const Tensor& x, const TopkAttrs& attrs) {
  const Tensors both = apply_all<Topk>(attrs, {x});
  return {both[0], both[1]};
}

}  // namespace tapewire
