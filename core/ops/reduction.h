#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Reductions over some or all dimensions.

struct ReduceAttrs {
  std::optional<Shape> dim;
  bool keepdim = false;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{field("dim", &ReduceAttrs::dim, "dimensions to reduce; none or empty: all"),
                      field("keepdim", &ReduceAttrs::keepdim, "leave reduced dimensions as ones"),
                      field("dtype", &ReduceAttrs::dtype, "input is converted to it first")};
  }
};
struct ArgReduceAttrs {
  std::optional<int64_t> dim;
  bool keepdim = false;
  static constexpr auto fields() {
    return std::tuple{field("dim", &ArgReduceAttrs::dim, "none: of the flattened input"),
                      field("keepdim", &ArgReduceAttrs::keepdim, "leave the reduced dimension as a one")};
  }
};

/// bool and integers sum to int64.
Tensor sum(const Tensor& x, const ReduceAttrs& attrs = {});
/// Floating only.
Tensor mean(const Tensor& x, const ReduceAttrs& attrs = {});
/// The index (int64) of the largest element; the first of equal ones. No gradient.
Tensor argmax(const Tensor& x, const ArgReduceAttrs& attrs = {});

/// The sizes after reducing `dims` (wrapped).
Shape reduced_sizes(Ints sizes, Ints dims, bool keepdim);
/// A reduction's gradient brought back to its input's sizes: reduced dimensions put back and repeated.
Tensor expand_reduced(const Tensor& grad, Ints input_sizes, Ints dims, bool keepdim);

}  // namespace tapewire
