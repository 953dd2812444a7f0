#include "core/optim/adam.h"

#include "core/kernels/optim.h"

namespace tapewire {
namespace {

template <class Options>
void check(const Options& o) {
  if (!(o.lr >= 0)) fail("Invalid learning rate: ", Value(o.lr).repr());
  if (!(o.eps >= 0)) fail("Invalid epsilon value: ", Value(o.eps).repr());
  if (o.betas.size() != 2) fail("betas must be two numbers, got ", o.betas.size());
  for (size_t i = 0; i < 2; ++i) {
    if (!(o.betas[i] >= 0 && o.betas[i] < 1)) {
      fail("Invalid beta parameter at index ", i, ": ", Value(o.betas[i]).repr());
    }
  }
  if (!(o.weight_decay >= 0)) fail("Invalid weight_decay value: ", Value(o.weight_decay).repr());
}

template <class Options>
std::vector<std::string_view> slot_names(const Options& o) {
  std::vector<std::string_view> out{"exp_avg", "exp_avg_sq"};
  if (o.amsgrad) out.push_back("max_exp_avg_sq");
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

std::vector<std::string_view> Adam::state_names(size_t group) const { return slot_names(options(group)); }
std::vector<std::string_view> AdamW::state_names(size_t group) const { return slot_names(options(group)); }

void Adam::update(const Update& u) {
  const Tensors& s = u.state.tensors;
  kernels::adam_step(u.parameter, u.gradient, s[0], s[1], s.size() > 2 ? s[2] : Tensor(),
                     params(options(u.group), u.learning_rate, u.state.step, false));
}

void AdamW::update(const Update& u) {
  const Tensors& s = u.state.tensors;
  kernels::adam_step(u.parameter, u.gradient, s[0], s[1], s.size() > 2 ? s[2] : Tensor(),
                     params(options(u.group), u.learning_rate, u.state.step, true));
}

}  // namespace tapewire
