#include "core/optim/sgd.h"

#include <cmath>

#include "core/kernels/optim.h"
#include "core/optim/option_checks.h"

namespace tapewire {

void SgdOptions::validate() const {
  check_learning_rate(lr);
  check_not_negative("momentum", momentum);
  if (std::isnan(dampening)) fail("Invalid dampening value: ", Value(dampening).repr());
  check_not_negative("weight_decay", weight_decay);
  if (nesterov && (momentum <= 0 || dampening != 0)) {
    fail("Nesterov momentum requires a momentum and zero dampening");
  }
}

std::vector<Optimizer::Slot> SGD::slots(size_t group) const {
  return {{.name = "momentum_buffer", .needed = options(group).momentum != 0, .optional = true}};
}

void SGD::update(Update& u) {
  const Options& o = options(u.group);
  kernels::sgd_step(u.parameter, u.gradient, o.momentum != 0 ? u.tensor(0) : Tensor(),
                    {.lr = u.learning_rate,
                     .momentum = o.momentum,
                     .dampening = o.dampening,
                     .weight_decay = o.weight_decay,
                     .nesterov = o.nesterov,
                     .maximize = o.maximize,
                     .first_step = u.kept == 0});
}

namespace {
const OptimizerFamily kFamily{optimizer_def<SGD>()};
}  // namespace

}  // namespace tapewire
