#include "core/optim/nadam.h"

#include "core/kernels/optim_moments.h"
#include "core/optim/option_checks.h"

namespace tapewire {

void NAdamOptions::validate() const {
  check_learning_rate(lr);
  check_epsilon(eps);
  check_betas(betas);
  check_not_negative("weight_decay", weight_decay);
  check_not_negative("momentum_decay", momentum_decay);
}

std::vector<Optimizer::Slot> NAdam::slots(size_t) const { return {{.name = "exp_avg"}, {.name = "exp_avg_sq"}}; }

std::vector<Optimizer::StateNumber> NAdam::state_numbers() const { return {{"mu_product", 1.0}}; }

void NAdam::update(Update& u) {
  const Options& o = options(u.group);
  const kernels::MomentStep step{.step = u.state.step,
                                 .lr = u.learning_rate,
                                 .beta1 = o.betas[0],
                                 .beta2 = o.betas[1],
                                 .eps = o.eps,
                                 .weight_decay = o.weight_decay,
                                 .decoupled = o.decoupled_weight_decay,
                                 .maximize = o.maximize};
  double& mu_product = u.state.numbers[0];
  mu_product *= kernels::nadam_momentum(step.beta1, o.momentum_decay, step.step);
  kernels::nadam_step(u.parameter, u.gradient, u.tensor(0), u.tensor(1), o.momentum_decay, mu_product, step);
}

namespace {
const OptimizerFamily kFamily{optimizer_def<NAdam>()};
}  // namespace

}  // namespace tapewire
