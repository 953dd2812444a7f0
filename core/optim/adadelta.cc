#include "core/optim/adadelta.h"

#include "core/kernels/optim_adaptive.h"
#include "core/optim/option_checks.h"

namespace tapewire {

void AdadeltaOptions::validate() const {
  check_learning_rate(lr);
  if (!(rho >= 0 && rho <= 1)) fail("Invalid rho value: ", Value(rho).repr());
  check_epsilon(eps);
  check_not_negative("weight_decay", weight_decay);
}

std::vector<Optimizer::Slot> Adadelta::slots(size_t) const { return {{.name = "square_avg"}, {.name = "acc_delta"}}; }

void Adadelta::update(Update& u) {
  const Options& o = options(u.group);
  kernels::adadelta_step(
      u.parameter, u.gradient, u.tensor(0), u.tensor(1),
      {.lr = u.learning_rate, .rho = o.rho, .eps = o.eps, .weight_decay = o.weight_decay, .maximize = o.maximize});
}

namespace {
const OptimizerFamily kFamily{optimizer_def<Adadelta>()};
}  // namespace

}  // namespace tapewire
