#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Activations, named as in torch.nn.functional; `name_` is the in-place form. More are in smooth_activation.h and
/// piecewise_activation.h.

struct SoftmaxAttrs {
  int64_t dim = -1;
  std::optional<DType> dtype;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &SoftmaxAttrs::dim, "dimension that sums to one"),
                      field("dtype", &SoftmaxAttrs::dtype, "input is converted to it first")};
  }
};

/// max(x, 0); the slope at 0 is 0.
Tensor relu(const Tensor& x);
Tensor relu_(const Tensor& x);
/// 1 / (1 + exp(-x)).
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
/// exp(x) / sum(exp(x)) along dim, and its logarithm.
Tensor softmax(const Tensor& x, const SoftmaxAttrs& attrs);
Tensor log_softmax(const Tensor& x, const SoftmaxAttrs& attrs);
/// softmax(-x).
Tensor softmin(const Tensor& x, const SoftmaxAttrs& attrs);

}  // namespace tapewire
