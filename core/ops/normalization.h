#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct BatchNormAttrs {
  bool training = false;
  double momentum = 0.1;
  double eps = 1e-5;
  static constexpr auto fields() {
    return std::tuple{
        field("training", &BatchNormAttrs::training, "normalise by the batch's statistics and move the running ones"),
        field("momentum", &BatchNormAttrs::momentum, "weight of the new statistics in the running ones"),
        field("eps", &BatchNormAttrs::eps, "added to the variance")};
  }
};

/// (x - mean) / sqrt(var + eps) * weight + bias by channel of x [N, C, *]. In training mean and (biased) variance are
/// the batch's and the running ones [C], if defined, move in place (towards the unbiased variance); else the running
/// ones are used. weight and bias [C] may be undefined.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, const BatchNormAttrs& attrs = {});

}  // namespace tapewire
