#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Reductions over some or all dimensions. Each `dim` is refused when out of range or given twice.

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
struct ProdAttrs {
  std::optional<int64_t> dim;
  bool keepdim = false;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{field("dim", &ProdAttrs::dim, "dimension to reduce; none: all"),
                      field("keepdim", &ProdAttrs::keepdim, "leave the reduced dimension as a one"),
                      field("dtype", &ProdAttrs::dtype, "input is converted to it first")};
  }
};
struct ReduceDimsAttrs {
  std::optional<Shape> dim;
  bool keepdim = false;
  static constexpr auto fields() {
    return std::tuple{field("dim", &ReduceDimsAttrs::dim, "dimensions to reduce; none or empty: all"),
                      field("keepdim", &ReduceDimsAttrs::keepdim, "leave reduced dimensions as ones")};
  }
};
struct LogsumexpAttrs {
  Shape dim;
  bool keepdim = false;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &LogsumexpAttrs::dim, "dimensions to reduce; empty: all"),
                      field("keepdim", &LogsumexpAttrs::keepdim, "leave reduced dimensions as ones")};
  }
};
struct CountNonzeroAttrs {
  std::optional<Shape> dim;
  static constexpr auto fields() {
    return std::tuple{field("dim", &CountNonzeroAttrs::dim, "dimensions to count over; none or empty: all")};
  }
};

/// bool and integers sum and multiply to int64.
Tensor sum(const Tensor& x, const ReduceAttrs& attrs = {});
/// The gradient is right where elements are zero.
Tensor prod(const Tensor& x, const ProdAttrs& attrs = {});
/// Floating only.
Tensor mean(const Tensor& x, const ReduceAttrs& attrs = {});
/// log(sum(exp(x))), stable; integers become float32.
Tensor logsumexp(const Tensor& x, const LogsumexpAttrs& attrs);
/// Whether all, or any, elements are not zero: bool, of uint8 uint8.
Tensor all(const Tensor& x, const ReduceDimsAttrs& attrs = {});
Tensor any(const Tensor& x, const ReduceDimsAttrs& attrs = {});
/// int64.
Tensor count_nonzero(const Tensor& x, const CountNonzeroAttrs& attrs = {});

/// The sizes after reducing `dims` (wrapped).
Shape reduced_sizes(Ints sizes, Ints dims, bool keepdim);
/// What has one element for each slice, brought back to the sizes of the slices' tensor: reduced dimensions are put
/// back, as views.
Tensor expand_reduced(const Tensor& x, Ints input_sizes, Ints dims, bool keepdim);
/// The same without repeating: reduced dimensions come back as ones.
Tensor restore_reduced(const Tensor& x, Ints input_sizes, Ints dims, bool keepdim);

}  // namespace tapewire
