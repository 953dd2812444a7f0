#include "core/optim/adagrad.h"

#include "core/kernels/optim_adaptive.h"
#include "core/optim/option_checks.h"

namespace tapewire {

void AdagradOptions::validate() const {
  check_learning_rate(lr);
  check_not_negative("lr_decay", lr_decay);
  check_not_negative("weight_decay", weight_decay);
  check_not_negative("initial_accumulator_value", initial_accumulator_value);
  check_epsilon(eps);
}

std::vector<Optimizer::Slot> Adagrad::slots(size_t group) const {
  return {{.name = "sum", .initial = options(group).initial_accumulator_value}};
}

void Adagrad::update(Update& u) {
  const Options& o = options(u.group);
  const double before = static_cast<double>(u.state.step - 1);
  kernels::adagrad_step(u.parameter, u.gradient, u.tensor(0),
                        {.lr = u.learning_rate / (1 + before * o.lr_decay),
                         .eps = o.eps,
                         .weight_decay = o.weight_decay,
                         .maximize = o.maximize});
}

namespace {
const OptimizerFamily kFamily{optimizer_def<Adagrad>()};
}  // namespace

}  // namespace tapewire
