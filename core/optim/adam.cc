#include "core/optim/adam.h"

#include "core/kernels/optim.h"
#include "core/optim/option_checks.h"

namespace tapewire {
namespace {

template <class Options>
void check(const Options& o) {
  check_learning_rate(o.lr);
  check_epsilon(o.eps);
  check_betas(o.betas);
  check_not_negative("weight_decay", o.weight_decay);
}

std::vector<Optimizer::Slot> moments(bool amsgrad) {
  std::vector<Optimizer::Slot> out{{.name = "exp_avg"}, {.name = "exp_avg_sq"}};
  if (amsgrad) out.push_back({.name = "max_exp_avg_sq"});
  return out;
}

template <class Options>
kernels::AdamStep params(const Options& o, double lr, int64_t step, bool decoupled) {
  return {.step = step,
          .lr = lr,
          .beta1 = o.betas[0],
          .beta2 = o.betas[1],
          .eps = o.eps,
          .weight_decay = o.weight_decay,
          .decoupled = decoupled,
          .maximize = o.maximize};
}

const OptimizerFamily kFamily{optimizer_def<Adam>(), optimizer_def<AdamW>()};

}  // namespace

void AdamOptions::validate() const { check(*this); }
void AdamWOptions::validate() const { check(*this); }

std::vector<Optimizer::Slot> Adam::slots(size_t group) const { return moments(options(group).amsgrad); }
std::vector<Optimizer::Slot> AdamW::slots(size_t group) const { return moments(options(group).amsgrad); }

void Adam::update(Update& u) {
  kernels::adam_step(u.parameter, u.gradient, u.tensor(0), u.tensor(1), u.tensor(2),
                     params(options(u.group), u.learning_rate, u.state.step, false));
}

void AdamW::update(Update& u) {
  kernels::adam_step(u.parameter, u.gradient, u.tensor(0), u.tensor(1), u.tensor(2),
                     params(options(u.group), u.learning_rate, u.state.step, true));
}

}  // namespace tapewire
