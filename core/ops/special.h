#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// The error function and the gamma function's relatives, elementwise. Integers become float32.

struct PolygammaAttrs {
  int64_t n = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("n", &PolygammaAttrs::n, "order of the derivative; 0: digamma")};
  }
};

Tensor erf(const Tensor& x);
/// 1 - erf(x), exact far out.
Tensor erfc(const Tensor& x);
/// log |gamma(x)|; infinite at 0, -1, -2, ...
Tensor lgamma(const Tensor& x);
/// The derivative of lgamma.
Tensor digamma(const Tensor& x);
/// The n-th derivative of digamma. Throws for a negative n.
Tensor polygamma(int64_t n, const Tensor& x);

}  // namespace tapewire
