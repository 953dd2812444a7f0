#include "core/kernels/reduce_impl.h"

namespace tapewire::kernels {

int64_t nest_offset(const LoopNest& nest, size_t operand, size_t dims, int64_t index) {
  const Shape& strides = nest.strides[operand];
  int64_t offset = 0;
  for (size_t d = dims; d-- > 1;) {
    offset += index % nest.sizes[d] * strides[d];
    index /= nest.sizes[d];
  }
  return offset + index * strides[0];
}

ReducePlan plan_reduction(const Tensor& x, Ints dims, const Tensor& out) {
  const size_t rank = static_cast<size_t>(x.dim());
  const auto folded = [&](size_t d) {
    return dims.empty() || std::ranges::find(dims, static_cast<int64_t>(d)) != dims.end();
  };
  Shape kept_sizes;
  Shape reduced_sizes;
  Shape kept_strides[2];
  Shape reduced_strides[1];
  for (size_t d = 0; d < rank; ++d) {
    if (folded(d)) {
      reduced_sizes.push_back(x.sizes()[d]);
      reduced_strides[0].push_back(x.strides()[d]);
    } else {
      kept_sizes.push_back(x.sizes()[d]);
      kept_strides[0].push_back(x.strides()[d]);
    }
  }
  const bool keeps_dims = out.dim() == x.dim() && kept_sizes.size() != rank;
  ReducePlan plan;
  plan.outputs = numel_of(kept_sizes);
  plan.length = numel_of(reduced_sizes);
  if (plan.outputs != out.numel() || (!keeps_dims && static_cast<size_t>(out.dim()) != kept_sizes.size())) {
    fail_internal("a reduction of ", to_string(x.sizes()), " over ", to_string(dims), " does not give ",
                  to_string(out.sizes()));
  }
  for (size_t d = 0; d < static_cast<size_t>(out.dim()); ++d) {
    if (!keeps_dims || !folded(d)) kept_strides[1].push_back(out.strides()[d]);
  }
  plan.kept = make_nest(kept_sizes, kept_strides, /*reorder=*/true);
  plan.reduced = make_nest(reduced_sizes, reduced_strides, /*reorder=*/true);
  if (plan.outputs == 0 || plan.length == 0) return plan;

  const int64_t width = plan.kept.sizes.back();
  const int64_t kept_stride = plan.kept.strides[0].back();
  const int64_t reduced_stride = plan.reduced.strides[0].back();
  plan.columns = width >= 8 && kept_stride != 0 && (kept_stride < reduced_stride || reduced_stride == 0);

  const int64_t tasks = plan.columns ? plan.outputs / width * ((width + kColumns - 1) / kColumns) : plan.outputs;
  const int64_t work = plan.outputs * plan.length;
  constexpr int64_t kFewTasks = 8;
  if (tasks < kFewTasks && work >= 4 * kLightGrain) {
    plan.segments = std::min({plan.reduced.sizes[0], work / kLightGrain, int64_t{64}});
  }
  return plan;
}

}  // namespace tapewire::kernels
