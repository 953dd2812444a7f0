#include "core/optim/rmsprop.h"

#include "core/kernels/optim_adaptive.h"
#include "core/optim/option_checks.h"

namespace tapewire {

void RMSpropOptions::validate() const {
  check_learning_rate(lr);
  check_epsilon(eps);
  check_not_negative("momentum", momentum);
  check_not_negative("weight_decay", weight_decay);
  check_not_negative("alpha", alpha);
}

std::vector<Optimizer::Slot> RMSprop::slots(size_t group) const {
  std::vector<Slot> out{{.name = "square_avg"}};
  if (options(group).centered) out.push_back({.name = "grad_avg"});
  out.push_back({.name = "momentum_buffer", .needed = options(group).momentum > 0, .optional = true});
  return out;
}

void RMSprop::update(Update& u) {
  const Options& o = options(u.group);
  const size_t buffer = o.centered ? 2 : 1;
  kernels::rmsprop_step(u.parameter, u.gradient, u.tensor(0), o.centered ? u.tensor(1) : Tensor(),
                        o.momentum > 0 ? u.tensor(buffer) : Tensor(),
                        {.lr = u.learning_rate,
                         .alpha = o.alpha,
                         .eps = o.eps,
                         .weight_decay = o.weight_decay,
                         .momentum = o.momentum,
                         .maximize = o.maximize});
}

namespace {
const OptimizerFamily kFamily{optimizer_def<RMSprop>()};
}  // namespace

}  // namespace tapewire
