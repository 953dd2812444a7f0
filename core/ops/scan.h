#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Recurrences along one dimension.

struct ScanAttrs {
  int64_t dim = 0;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &ScanAttrs::dim, "dimension to run along"),
                      field("dtype", &ScanAttrs::dtype, "input is converted to it first")};
  }
};
struct RecurrenceAttrs {
  int64_t dim = 0;
  bool reverse = false;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &RecurrenceAttrs::dim, "dimension to run along"),
                      field("reverse", &RecurrenceAttrs::reverse, "from the end to the beginning")};
  }
};
struct ShiftAttrs {
  int64_t dim = 0;
  int64_t by = 1;
  double fill = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &ShiftAttrs::dim, "dimension to move along"),
                      field("by", &ShiftAttrs::by, "places that elements move up; negative: down"),
                      field("fill", &ShiftAttrs::fill, "what stands where nothing moved to")};
  }
};

/// The sums of the first elements along dim: the i-th output ends with the i-th element. bool and integers sum to
/// int64.
Tensor cumsum(const Tensor& x, const ScanAttrs& attrs);
/// The products likewise; the gradient is right where elements are zero.
Tensor cumprod(const Tensor& x, const ScanAttrs& attrs);

/// y[i] = b[i] + a[i] * y[i - 1] along dim, or in reverse y[i] = b[i] + a[i + 1] * y[i + 1]: a[i] links i - 1 and i in
/// either direction, and a[0] is not used. a and b are of one floating dtype and one shape.
Tensor linear_recurrence(const Tensor& a, const Tensor& b, const RecurrenceAttrs& attrs);
/// y[i] = x[i - by] along dim.
Tensor shift(const Tensor& x, const ShiftAttrs& attrs);

}  // namespace tapewire
