#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Rounding, elementwise. Integers are their own floor, ceil, trunc and round. The gradient is zero, but for frac's.

struct RoundAttrs {
  int64_t decimals = 0;
  static constexpr auto fields() {
    return std::tuple{field("decimals", &RoundAttrs::decimals, "digits after the point; negative: before it")};
  }
};

Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
/// Towards zero.
Tensor trunc(const Tensor& x);
/// Halves go to the even neighbour. Decimals other than 0 are for floats only.
Tensor round(const Tensor& x, const RoundAttrs& attrs = {});
/// x - trunc(x); floats only.
Tensor frac(const Tensor& x);

}  // namespace tapewire
