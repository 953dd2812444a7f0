#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Elementwise arithmetic of three operands, which broadcast.

struct ValueAttrs {
  Scalar value = 1;
  static constexpr auto fields() { return std::tuple{field("value", &ValueAttrs::value, "factor of the second term")}; }
};

/// x + value * tensor1 * tensor2; operands promote. Of integers the value's whole part counts.
Tensor addcmul(const Tensor& x, const Tensor& tensor1, const Tensor& tensor2, const ValueAttrs& attrs = {});
/// x + value * tensor1 / tensor2; operands promote; not for integers alone.
Tensor addcdiv(const Tensor& x, const Tensor& tensor1, const Tensor& tensor2, const ValueAttrs& attrs = {});
/// x + weight * (end - x). All of one floating dtype; a 0-d weight may be of any.
Tensor lerp(const Tensor& x, const Tensor& end, const Tensor& weight);
Tensor lerp(const Tensor& x, const Tensor& end, double weight);

}  // namespace tapewire
