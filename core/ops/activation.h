#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Activations, named as in torch.nn.functional; `name_` is the in-place form.

struct SoftmaxAttrs {
  int64_t dim = -1;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &SoftmaxAttrs::dim, "dimension that sums to one")};
  }
};
struct DropoutAttrs {
  double p = 0.5;
  bool training = true;
  static constexpr auto fields() {
    return std::tuple{field("p", &DropoutAttrs::p, "probability that an element becomes zero"),
                      field("training", &DropoutAttrs::training, "false: input passes as it is")};
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
/// Zeroes elements at random and scales the rest by 1 / (1 - p), in training. Draws one double an element.
Tensor dropout(const Tensor& x, const DropoutAttrs& attrs = {});
/// The same for whole channels of [N, C, *].
Tensor dropout2d(const Tensor& x, const DropoutAttrs& attrs = {});

}  // namespace tapewire
