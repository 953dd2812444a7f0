#pragma once

#include <span>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Several tensors made one. They promote to a common dtype, as operands of arithmetic do.

struct JoinAttrs {
  int64_t dim = 0;
  static constexpr auto fields() { return std::tuple{field("dim", &JoinAttrs::dim, "where they are joined")}; }
};

/// Along an existing dimension, in which alone their sizes may differ. 1-d tensors without elements are passed over.
Tensor cat(std::span<const Tensor> tensors, int64_t dim = 0);
/// Along a new dimension; all must be of one size.
Tensor stack(std::span<const Tensor> tensors, int64_t dim = 0);
/// Along the second dimension, or the first of 1-d tensors.
Tensor hstack(std::span<const Tensor> tensors);
/// Along the first dimension; 1-d tensors are rows.
Tensor vstack(std::span<const Tensor> tensors);

}  // namespace tapewire
