#include "core/optim/sgd.h"

#include "core/kernels/optim.h"

namespace tapewire {

void SgdOptions::validate() const {
  if (!(lr >= 0)) fail("Invalid learning rate: ", Value(lr).repr());
  if (!(momentum >= 0)) fail("Invalid momentum value: ", Value(momentum).repr());
  if (dampening != dampening) fail("Invalid dampening value: ", Value(dampening).repr());
  if (!(weight_decay >= 0)) fail("Invalid weight_decay value: ", Value(weight_decay).repr());
  if (nesterov && (momentum <= 0 || dampening != 0)) {
    fail("Nesterov momentum requires a momentum and zero dampening");
  }
}

std::vector<std::string_view> SGD::state_names(size_t group) const {
  if (options(group).momentum == 0) return {};
  return {"momentum_buffer"};
}

void SGD::update(const Update& u) {
  const Options& o = options(u.group);
  kernels::sgd_step(u.parameter, u.gradient, u.state.tensors.empty() ? Tensor() : u.state.tensors[0],
                    {.lr = u.learning_rate,
                     .momentum = o.momentum,
                     .dampening = o.dampening,
                     .weight_decay = o.weight_decay,
                     .nesterov = o.nesterov,
                     .maximize = o.maximize,
                     .first_step = u.state.step == 1});
}

namespace {
const OptimizerFamily kFamily{optimizer_def<SGD>()};
}  // namespace

}  // namespace tapewire
