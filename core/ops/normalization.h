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

struct LocalResponseNormAttrs {
  int64_t size = 1;
  double alpha = 1e-4;
  double beta = 0.75;
  double k = 1;
  static constexpr auto fields() {
    return std::tuple{required_field("size", &LocalResponseNormAttrs::size, "neighbouring channels that count"),
                      field("alpha", &LocalResponseNormAttrs::alpha, "factor of their mean square"),
                      field("beta", &LocalResponseNormAttrs::beta, "exponent"),
                      field("k", &LocalResponseNormAttrs::k, "added to it")};
  }
};

/// (x - mean) / sqrt(var + eps) * weight + bias by channel of x [N, C, *]. In training mean and (biased) variance are
/// the batch's and the running ones [C], if defined, move in place (towards the unbiased variance); else the running
/// ones are used. weight and bias [C] may be undefined.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight = {},
                  const Tensor& bias = {}, const BatchNormAttrs& attrs = {});

/// x / (k + alpha * mean of squares over `size` neighbouring channels)^beta, channels beyond the ends being 0; x is
/// [N, C, *] with at least three dimensions. Krizhevsky et al., 2012.
Tensor local_response_norm(const Tensor& x, const LocalResponseNormAttrs& attrs);

/// running = (1 - momentum) * running + momentum * seen, in place and without history; nothing if it is undefined.
void move_running(const Tensor& running, const Tensor& seen, double momentum);

}  // namespace tapewire
