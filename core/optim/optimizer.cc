#include "core/optim/optimizer.h"

#include <cmath>
#include <set>

#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/kernels/copy.h"
#include "core/optim/option_checks.h"

namespace tapewire {
namespace {

// x with that dtype, row-major; x itself when it is already.
Tensor converted(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return kernels::contiguous(x);
  const Tensor out = Tensor::empty(x.sizes(), dtype);
  kernels::copy(x, out);
  return out;
}

// Takes the parameters of all groups, one by one; throws for one that cannot be optimized or was there before.
class ParameterCheck {
 public:
  void operator()(const NamedTensor& p) {
    if (!p.tensor.defined()) fail("optimizer: parameter ", quoted(p.name), " is none");
    if (!is_leaf(p.tensor)) fail("can't optimize a non-leaf Tensor: ", quoted(p.name));
    if (!is_floating(p.tensor.dtype())) {
      fail("optimizer: parameter ", quoted(p.name), " must be float32 or float64, got ", name_of(p.tensor.dtype()));
    }
    if (!seen_.insert(p.tensor.impl().get()).second) {
      fail("some parameters appear in more than one parameter group: ", quoted(p.name));
    }
    if (!names_.insert(p.name).second) fail("optimizer: two parameters are called ", quoted(p.name));
  }

 private:
  std::set<const TensorImpl*> seen_;
  std::set<std::string> names_;
};

}  // namespace

Optimizer::Optimizer(Groups parameters, const std::vector<double>& learning_rates) {
  ParameterCheck check;
  bool empty = true;
  for (size_t g = 0; g < parameters.size(); ++g) {
    for (const NamedTensor& p : parameters[g]) check(p);
    empty = empty && parameters[g].empty();
    append_group(std::move(parameters[g]), learning_rates[g]);
  }
  if (empty) fail("optimizer got an empty parameter list");
}

void Optimizer::add_group(std::vector<NamedTensor> parameters, double learning_rate) {
  ParameterCheck check;
  for (const NamedTensor& p : this->parameters()) check(p);
  for (const NamedTensor& p : parameters) check(p);
  append_group(std::move(parameters), learning_rate);
}

void Optimizer::append_group(std::vector<NamedTensor> parameters, double learning_rate) {
  std::vector<ParameterState> states(parameters.size());
  groups_.push_back({std::move(parameters), std::move(states), learning_rate, learning_rate});
}

std::vector<NamedTensor> Optimizer::parameters() const {
  std::vector<NamedTensor> out;
  for (const Group& group : groups_) out.insert(out.end(), group.parameters.begin(), group.parameters.end());
  return out;
}

void Optimizer::set_learning_rate(size_t group, double rate) {
  check_learning_rate(rate);
  groups_.at(group).learning_rate = rate;
}

void Optimizer::set_learning_rate(double rate) {
  check_learning_rate(rate);
  for (Group& group : groups_) group.learning_rate = rate;
}

double Optimizer::initial_learning_rate(size_t group) const {
  const Group& g = groups_.at(group);
  return scheduled_ ? g.initial_learning_rate : g.learning_rate;
}

void Optimizer::set_momentum(size_t group, double value) {
  if (!momentum(group)) fail(type(), ": has no momentum to set");
  check_momentum(group, value);
  store_momentum(group, value);
}

void Optimizer::set_schedule(size_t group, const Schedule& schedule) {
  groups_.at(group).learning_rate = schedule.learning_rate;
  if (schedule.momentum) store_momentum(group, *schedule.momentum);
}

void Optimizer::begin_schedules() {
  for (size_t g = 0; g < groups_.size(); ++g) groups_[g].initial_learning_rate = initial_learning_rate(g);
  scheduled_ = true;
}

Optimizer::ParameterState Optimizer::advanced(size_t group, size_t index, const std::vector<Slot>& slots) const {
  const Tensor& parameter = groups_[group].parameters[index].tensor;
  ParameterState state = groups_[group].states[index];
  if (state.step++ == 0) {
    for (const StateNumber& number : state_numbers()) state.numbers.push_back(number.initial);
  }
  for (Tensor& tensor : state.tensors) tensor = converted(tensor, parameter.dtype());
  for (size_t n = state.tensors.size(); n < slots.size() && slots[n].needed; ++n) {
    state.tensors.push_back(Tensor::full(parameter.sizes(), slots[n].initial, parameter.dtype()));
  }
  return state;
}

void Optimizer::step() {
  check_cancelled();
  struct Pending {
    ParameterState* state;
    Update update;
  };
  std::vector<Pending> pending;
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    const std::vector<Slot> slots = this->slots(g);
    pending.reserve(pending.size() + group.parameters.size());
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      const NamedTensor& p = group.parameters[i];
      const Tensor grad = gradient(p.tensor);
      if (!grad.defined()) continue;
      if (grad.sizes() != p.tensor.sizes()) {
        fail(type(), ": the gradient of ", quoted(p.name), " has shape ", to_string(grad.sizes()), ", the parameter ",
             to_string(p.tensor.sizes()));
      }
      const size_t kept = group.states[i].tensors.size();
      ParameterState state = advanced(g, i, slots);
      // Asking for the bytes now makes the copies of those that a snapshot shares, while failing is still harmless.
      p.tensor.mutable_raw_data();
      for (const Tensor& tensor : state.tensors) tensor.mutable_raw_data();
      pending.push_back(
          {&group.states[i],
           {g, group.learning_rate, kept, p.tensor, converted(grad, p.tensor.dtype()), std::move(state)}});
    }
  }
  check_cancelled();
  const CancelScope shield(nullptr);  // from the first write on
  for (Pending& p : pending) {
    update(p.update);
    p.update.parameter.storage().bump_version();
    *p.state = std::move(p.update.state);
  }
}

void Optimizer::zero_grad(bool set_to_none) {
  const CancelScope shield(nullptr);
  for (const Group& group : groups_) {
    for (const NamedTensor& p : group.parameters) clear_gradient(p.tensor, set_to_none);
  }
}

}  // namespace tapewire
