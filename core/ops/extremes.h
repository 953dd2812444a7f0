#pragma once

#include <optional>
#include <utility>

#include "core/ops/reduction.h"

namespace tapewire {

/// The largest and smallest elements. NaN is larger and smaller than all: where there is one, it is the result.

struct ArgReduceAttrs {
  std::optional<int64_t> dim;
  bool keepdim = false;
  static constexpr auto fields() {
    return std::tuple{field("dim", &ArgReduceAttrs::dim, "none: of the flattened input"),
                      field("keepdim", &ArgReduceAttrs::keepdim, "leave the reduced dimension as a one")};
  }
};
struct ExtremeAttrs {
  std::optional<int64_t> dim;
  bool keepdim = false;
  static constexpr auto fields() {
    return std::tuple{field("dim", &ExtremeAttrs::dim, "none: over all; may stand in the place of other"),
                      field("keepdim", &ExtremeAttrs::keepdim, "leave the reduced dimension as a one")};
  }
};
struct DimExtremeAttrs {
  int64_t dim = 0;
  bool keepdim = false;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &DimExtremeAttrs::dim, "dimension to reduce"),
                      field("keepdim", &DimExtremeAttrs::keepdim, "leave the reduced dimension as a one")};
  }
};

/// Over dim; equal elements share the gradient evenly. "Expected reduction dim ..." when there is nothing to reduce.
Tensor amax(const Tensor& x, const ReduceDimsAttrs& attrs = {});
Tensor amin(const Tensor& x, const ReduceDimsAttrs& attrs = {});
/// The smallest and the largest, over one dimension or all.
std::pair<Tensor, Tensor> aminmax(const Tensor& x, const ArgReduceAttrs& attrs = {});

/// torch.max(x): 0-d; equal elements share the gradient evenly.
Tensor max(const Tensor& x);
Tensor min(const Tensor& x);
/// torch.max(x, dim): values and where they first stand (int64); the gradient goes there alone.
std::pair<Tensor, Tensor> max(const Tensor& x, const DimExtremeAttrs& attrs);
std::pair<Tensor, Tensor> min(const Tensor& x, const DimExtremeAttrs& attrs);

/// The index (int64) of the largest or smallest element; the first of equal ones. No gradient.
Tensor argmax(const Tensor& x, const ArgReduceAttrs& attrs = {});
Tensor argmin(const Tensor& x, const ArgReduceAttrs& attrs = {});

}  // namespace tapewire
