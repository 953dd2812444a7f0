#include "core/optim/adamax.h"

#include "core/kernels/optim_moments.h"
#include "core/optim/option_checks.h"

namespace tapewire {

void AdamaxOptions::validate() const {
  check_learning_rate(lr);
  check_epsilon(eps);
  check_betas(betas);
  check_not_negative("weight_decay", weight_decay);
}

std::vector<Optimizer::Slot> Adamax::slots(size_t) const { return {{.name = "exp_avg"}, {.name = "exp_inf"}}; }

void Adamax::update(Update& u) {
  const Options& o = options(u.group);
  const kernels::MomentStep step{.step = u.state.step,
                                 .lr = u.learning_rate,
                                 .beta1 = o.betas[0],
                                 .beta2 = o.betas[1],
                                 .eps = o.eps,
                                 .weight_decay = o.weight_decay,
                                 .maximize = o.maximize};
  kernels::adamax_step(u.parameter, u.gradient, u.tensor(0), u.tensor(1), step);
}

namespace {
const OptimizerFamily kFamily{optimizer_def<Adamax>()};
}  // namespace

}  // namespace tapewire
