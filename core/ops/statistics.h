#pragma once

#include <optional>
#include <utility>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Variance and standard deviation.

struct VarAttrs {
  std::optional<Shape> dim;
  std::optional<bool> unbiased;
  bool keepdim = false;
  std::optional<double> correction;
  static constexpr auto fields() {
    return std::tuple{field("dim", &VarAttrs::dim, "dimensions to reduce; none or empty: all"),
                      field("unbiased", &VarAttrs::unbiased,
                            "False stands for correction 0, True for 1; may be given in dim's place"),
                      field("keepdim", &VarAttrs::keepdim, "leave reduced dimensions as ones"),
                      field("correction", &VarAttrs::correction, "the divisor is the count less this; none: 1")};
  }
};

/// sum((x - mean)^2) / max(0, n - correction) over dim; floating only. std is its square root, and its gradient is 0
/// where it is 0.
Tensor var(const Tensor& x, const VarAttrs& attrs = {});
Tensor std(const Tensor& x, const VarAttrs& attrs = {});
/// Together with the mean, which is second.
std::pair<Tensor, Tensor> var_mean(const Tensor& x, const VarAttrs& attrs = {});
std::pair<Tensor, Tensor> std_mean(const Tensor& x, const VarAttrs& attrs = {});

}  // namespace tapewire
