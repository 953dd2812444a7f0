#pragma once

#include "core/ops/loss.h"

namespace tapewire {

/// Losses of numbers to be met, named as in torch.nn.functional. Operands broadcast and promote.

struct SmoothL1LossAttrs {
  Reduction reduction = Reduction::kMean;
  double beta = 1;
  static constexpr auto fields() {
    return std::tuple{
        field("reduction", &SmoothL1LossAttrs::reduction, "'mean', 'sum' or 'none'"),
        field("beta", &SmoothL1LossAttrs::beta, "where the parabola ends and the lines begin; 0: l1_loss")};
  }
};
struct HuberLossAttrs {
  Reduction reduction = Reduction::kMean;
  double delta = 1;
  static constexpr auto fields() {
    return std::tuple{field("reduction", &HuberLossAttrs::reduction, "'mean', 'sum' or 'none'"),
                      field("delta", &HuberLossAttrs::delta, "where the parabola ends and the lines begin; positive")};
  }
};
struct PoissonNllLossAttrs {
  bool log_input = true;
  bool full = false;
  double eps = 1e-8;
  Reduction reduction = Reduction::kMean;
  static constexpr auto fields() {
    return std::tuple{field("log_input", &PoissonNllLossAttrs::log_input, "input is the rate's logarithm"),
                      field("full", &PoissonNllLossAttrs::full, "add Stirling's approximation of log(target!)"),
                      field("eps", &PoissonNllLossAttrs::eps, "added to a rate whose logarithm is taken"),
                      field("reduction", &PoissonNllLossAttrs::reduction, "'mean', 'sum' or 'none'")};
  }
};
struct GaussianNllLossAttrs {
  bool full = false;
  double eps = 1e-6;
  Reduction reduction = Reduction::kMean;
  static constexpr auto fields() {
    return std::tuple{field("full", &GaussianNllLossAttrs::full, "add the constant, log(2 pi) / 2"),
                      field("eps", &GaussianNllLossAttrs::eps, "least variance"),
                      field("reduction", &GaussianNllLossAttrs::reduction, "'mean', 'sum' or 'none'")};
  }
};

/// |x - target|; the slope at 0 is 0.
Tensor l1_loss(const Tensor& x, const Tensor& target, const LossAttrs& attrs = {});
/// With d = |x - target|: d^2 / (2 beta) below beta, d - beta / 2 above. Girshick, 2015.
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, const SmoothL1LossAttrs& attrs = {});
/// With d = |x - target|: d^2 / 2 up to delta, delta (d - delta / 2) above. Huber, 1964.
Tensor huber_loss(const Tensor& x, const Tensor& target, const HuberLossAttrs& attrs = {});
/// exp(x) - target * x, or x - target * log(x + eps).
Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, const PoissonNllLossAttrs& attrs = {});
/// (log(var) + (x - target)^2 / var) / 2, var being no less than eps (its gradient passes all the same). var has x's
/// sizes, or those without the last dimension or with 1 there; "var has negative entry/entries".
Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& var,
                         const GaussianNllLossAttrs& attrs = {});

}  // namespace tapewire
