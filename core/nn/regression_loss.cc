#include "core/nn/regression_loss.h"

namespace tapewire {

Tensor L1Loss::forward(const Tensor& input, const Tensor& target) { return l1_loss(input, target, options_); }

Tensor SmoothL1Loss::forward(const Tensor& input, const Tensor& target) {
  return smooth_l1_loss(input, target, options_);
}

Tensor HuberLoss::forward(const Tensor& input, const Tensor& target) { return huber_loss(input, target, options_); }

Tensor PoissonNLLLoss::forward(const Tensor& log_input, const Tensor& target) {
  return poisson_nll_loss(log_input, target, options_);
}

Tensor GaussianNLLLoss::forward(const Tensor& input, const Tensor& target, const Tensor& var) {
  return gaussian_nll_loss(input, target, var, options_);
}

void GaussianNLLLoss::check_sizes(std::span<const Tensor> arguments) const {
  require_equal_sizes(*this, arguments, 2);  // var has sizes of its own, which the op checks
}

namespace {
const ModuleFamily kFamily{module_def<L1Loss>(), module_def<SmoothL1Loss>(), module_def<HuberLoss>(),
                           module_def<PoissonNLLLoss>(), module_def<GaussianNLLLoss>()};
}  // namespace

}  // namespace tapewire
