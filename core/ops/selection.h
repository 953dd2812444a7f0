#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Ops that put one value or another in a place.

struct NanToNumAttrs {
  std::optional<double> nan = 0.0;
  std::optional<double> posinf;
  std::optional<double> neginf;
  static constexpr auto fields() {
    return std::tuple{field("nan", &NanToNumAttrs::nan, "in the place of NaN; none: 0"),
                      field("posinf", &NanToNumAttrs::posinf, "of infinity; none: the dtype's largest number"),
                      field("neginf", &NanToNumAttrs::neginf, "of -infinity; none: the dtype's least number")};
  }
};

/// condition ? x : other; all broadcast, x and other promote. `condition` is bool.
Tensor where(const Tensor& condition, const Tensor& x, const Tensor& other);

/// `value` (0-d) where `mask` is true, else x; x and the bool mask broadcast. Of x's dtype, which must hold the value.
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value);
Tensor masked_fill_(const Tensor& x, const Tensor& mask, const Tensor& value);

/// `value` (0-d) in x's shape and dtype, which must hold it.
Tensor fill(const Tensor& x, const Tensor& value);
Tensor fill_(const Tensor& x, const Tensor& value);

/// NaN and the infinities replaced; their gradient is 0. Integers pass.
Tensor nan_to_num(const Tensor& x, const NanToNumAttrs& attrs = {});

}  // namespace tapewire
