#pragma once

#include <string>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Activations made of exponentials, named as in torch.nn.functional; `name_` is the in-place form. Floats only where
/// not said otherwise.

struct AlphaAttrs {
  double alpha = 1;
  static constexpr auto fields() {
    return std::tuple{field("alpha", &AlphaAttrs::alpha, "its negative is the limit far below 0")};
  }
};
struct GeluAttrs {
  std::string approximate = "none";
  static constexpr auto fields() {
    return std::tuple{field("approximate", &GeluAttrs::approximate, "'none', or 'tanh' for a formula with tanh")};
  }
};
struct SoftplusAttrs {
  double beta = 1;
  double threshold = 20;
  static constexpr auto fields() {
    return std::tuple{field("beta", &SoftplusAttrs::beta, "how sharp the bend at 0 is"),
                      field("threshold", &SoftplusAttrs::threshold, "linear where beta * input is above it")};
  }
};
struct GluAttrs {
  int64_t dim = -1;
  static constexpr auto fields() { return std::tuple{field("dim", &GluAttrs::dim, "dimension that is halved")}; }
};

/// x where positive, else alpha * (exp(x) - 1).
Tensor elu(const Tensor& x, const AlphaAttrs& attrs = {});
Tensor elu_(const Tensor& x, const AlphaAttrs& attrs = {});
/// elu, scaled so that layers keep mean 0 and variance 1 (Klambauer et al., 2017).
Tensor selu(const Tensor& x);
Tensor selu_(const Tensor& x);
/// x where positive, else alpha * (exp(x / alpha) - 1). Throws for alpha 0.
Tensor celu(const Tensor& x, const AlphaAttrs& attrs = {});
Tensor celu_(const Tensor& x, const AlphaAttrs& attrs = {});
/// x times the share of the normal distribution below x (Hendrycks and Gimpel, 2016).
Tensor gelu(const Tensor& x, const GeluAttrs& attrs = {});
/// x sigmoid(x).
Tensor silu(const Tensor& x);
Tensor silu_(const Tensor& x);
/// x tanh(softplus(x)).
Tensor mish(const Tensor& x);
Tensor mish_(const Tensor& x);
/// log(1 + exp(beta * x)) / beta.
Tensor softplus(const Tensor& x, const SoftplusAttrs& attrs = {});
/// x / (1 + |x|); integers become float32.
Tensor softsign(const Tensor& x);
/// log(sigmoid(x)).
Tensor logsigmoid(const Tensor& x);
/// x - tanh(x); integers become float32.
Tensor tanhshrink(const Tensor& x);
/// The first half of x along dim times the sigmoid of the second. Throws for an odd size.
Tensor glu(const Tensor& x, const GluAttrs& attrs = {});

}  // namespace tapewire
