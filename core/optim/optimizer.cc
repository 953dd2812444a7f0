#include "core/optim/optimizer.h"

#include <cmath>
#include <set>

#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/suggest.h"
#include "core/kernels/copy.h"

namespace tapewire {
namespace {

void check_learning_rate(double rate) {
  if (!(rate >= 0)) fail("Invalid learning rate: ", Value(rate).repr());
}

std::string rate_key(size_t group) { return str_cat("group", group, ".lr"); }
std::string initial_rate_key(size_t group) { return str_cat("group", group, ".initial_lr"); }
std::string state_key(const NamedTensor& parameter, std::string_view name) {
  return str_cat(parameter.name, ".", name);
}

// x with that dtype, row-major; x itself when it is already.
Tensor converted(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return kernels::contiguous(x);
  const Tensor out = Tensor::empty(x.sizes(), dtype);
  kernels::copy(x, out);
  return out;
}

// A number of a saved state; takes it out of `unused`.
std::optional<double> take_number(const OptimizerState& state, const std::string& key,
                                  std::set<std::string_view>& unused) {
  const auto found = state.numbers.find(key);
  if (found == state.numbers.end()) return std::nullopt;
  unused.erase(key);
  return found->second;
}

std::map<std::string_view, OptimizerDef>& table() {
  static std::map<std::string_view, OptimizerDef> optimizers;
  return optimizers;
}

}  // namespace

Optimizer::Optimizer(Groups parameters, const std::vector<double>& learning_rates) {
  std::set<const TensorImpl*> seen;
  std::set<std::string_view> names;
  for (size_t g = 0; g < parameters.size(); ++g) {
    Group& group = groups_.emplace_back(Group{std::move(parameters[g]), {}, learning_rates[g], learning_rates[g]});
    group.states.resize(group.parameters.size());
    for (const NamedTensor& p : group.parameters) {
      if (!p.tensor.defined()) fail("optimizer: parameter ", quoted(p.name), " is none");
      if (!is_leaf(p.tensor)) fail("can't optimize a non-leaf Tensor: ", quoted(p.name));
      if (!is_floating(p.tensor.dtype())) {
        fail("optimizer: parameter ", quoted(p.name), " must be float32 or float64, got ", name_of(p.tensor.dtype()));
      }
      if (!seen.insert(p.tensor.impl().get()).second) {
        fail("some parameters appear in more than one parameter group: ", quoted(p.name));
      }
      if (!names.insert(p.name).second) fail("optimizer: two parameters are called ", quoted(p.name));
    }
  }
  if (seen.empty()) fail("optimizer got an empty parameter list");
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

void Optimizer::step() {
  check_cancelled();
  struct Pending {
    ParameterState* state;
    Update update;
  };
  std::vector<Pending> pending;
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    const size_t slots = state_names(g).size();
    pending.reserve(pending.size() + group.parameters.size());
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      const NamedTensor& p = group.parameters[i];
      const Tensor grad = gradient(p.tensor);
      if (!grad.defined()) continue;
      if (grad.sizes() != p.tensor.sizes()) {
        fail(type(), ": the gradient of ", quoted(p.name), " has shape ", to_string(grad.sizes()), ", the parameter ",
             to_string(p.tensor.sizes()));
      }
      const DType dtype = p.tensor.dtype();
      ParameterState state = group.states[i];
      ++state.step;
      for (Tensor& tensor : state.tensors) tensor = converted(tensor, dtype);
      while (state.tensors.size() < slots) state.tensors.push_back(Tensor::zeros(p.tensor.sizes(), dtype));
      // Asking for the bytes now makes the copies of those that a snapshot shares, while failing is still harmless.
      p.tensor.mutable_raw_data();
      for (const Tensor& tensor : state.tensors) tensor.mutable_raw_data();
      pending.push_back(
          {&group.states[i], {g, group.learning_rate, p.tensor, converted(grad, dtype), std::move(state)}});
    }
  }
  for (Pending& p : pending) {
    update(p.update);
    p.update.parameter.storage().bump_version();
    *p.state = std::move(p.update.state);
  }
}

void Optimizer::zero_grad(bool set_to_none) {
  for (const Group& group : groups_) {
    for (const NamedTensor& p : group.parameters) clear_gradient(p.tensor, set_to_none);
  }
}

OptimizerState Optimizer::state_dict() const {
  OptimizerState out;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    out.numbers[rate_key(g)] = group.learning_rate;
    out.numbers[initial_rate_key(g)] = group.initial_learning_rate;
    const std::vector<std::string_view> names = state_names(g);
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      const ParameterState& state = group.states[i];
      if (state.step == 0) continue;
      out.numbers[state_key(group.parameters[i], "step")] = static_cast<double>(state.step);
      for (size_t n = 0; n < names.size(); ++n) {
        out.tensors.push_back({state_key(group.parameters[i], names[n]), detach(state.tensors[n])});
      }
    }
  }
  return out;
}

void Optimizer::load_state_dict(const OptimizerState& state) {
  std::string faults;
  const auto fault = [&faults](const auto&... parts) { faults += str_cat("\n\t", parts...); };
  std::map<std::string_view, const Tensor*> tensors;
  std::set<std::string_view> unused;
  for (const NamedTensor& t : state.tensors) {
    if (!t.tensor.defined() || !tensors.emplace(t.name, &t.tensor).second)
      fault(quoted(t.name), " is none or given twice");
    unused.insert(t.name);
  }
  for (const auto& [key, number] : state.numbers) unused.insert(key);

  const auto load_rate = [&](const std::string& key, double& rate) {
    const std::optional<double> number = take_number(state, key, unused);
    if (!number) {
      fault("missing ", quoted(key));
    } else if (!(*number >= 0)) {
      fault(quoted(key), ": Invalid learning rate: ", Value(*number).repr());
    } else {
      rate = *number;
    }
  };
  const auto load_parameter = [&](const NamedTensor& p, const std::vector<std::string_view>& names) {
    ParameterState out;
    const std::string step_key = state_key(p, "step");
    const std::optional<double> step = take_number(state, step_key, unused);
    if (!step) return out;  // not updated yet; tensors of its, if any, are reported as unexpected
    if (!(*step >= 1 && *step <= 0x1p53 && *step == std::floor(*step))) {
      fault(quoted(step_key), " must be a count of steps, got ", Value(*step).repr());
      return out;
    }
    out.step = static_cast<int64_t>(*step);
    for (const std::string_view name : names) {
      const std::string key = state_key(p, name);
      const auto found = tensors.find(key);
      if (found == tensors.end()) {
        fault("missing ", quoted(key));
        continue;
      }
      unused.erase(key);
      if (found->second->sizes() != p.tensor.sizes()) {
        fault("size mismatch for ", key, ": got ", to_string(found->second->sizes()), ", the parameter has ",
              to_string(p.tensor.sizes()));
        continue;
      }
      const Tensor copy = Tensor::empty(p.tensor.sizes(), p.tensor.dtype());
      kernels::copy(*found->second, copy);
      out.tensors.push_back(copy);
    }
    return out;
  };

  std::vector<Group> loaded;
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& next = loaded.emplace_back(Group{groups_[g].parameters, {}, 0, 0});
    load_rate(rate_key(g), next.learning_rate);
    load_rate(initial_rate_key(g), next.initial_learning_rate);
    const std::vector<std::string_view> names = state_names(g);
    for (const NamedTensor& p : next.parameters) next.states.push_back(load_parameter(p, names));
  }
  for (const std::string_view key : unused) fault("unexpected ", quoted(key));
  if (!faults.empty()) fail("Error(s) in loading state_dict for ", type(), ":", faults);
  groups_ = std::move(loaded);
}

void Optimizer::visit_state(const std::function<void(Tensor&)>& visit) {
  for (Group& group : groups_) {
    for (ParameterState& state : group.states) {
      for (Tensor& tensor : state.tensors) visit(tensor);
    }
  }
}

Optimizer::Snapshot Optimizer::snapshot() const {
  Snapshot out;
  for (const Group& group : groups_) {
    Snapshot::Group& saved = out.groups.emplace_back(Snapshot::Group{group.states, {}, group.learning_rate});
    for (const ParameterState& state : group.states) {
      for (const Tensor& tensor : state.tensors) saved.buffers.push_back(tensor.storage().share_buffer());
    }
  }
  return out;
}

void Optimizer::restore(const Snapshot& snapshot) {
  if (snapshot.groups.size() != groups_.size()) fail_internal("the snapshot is of another optimizer");
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Snapshot::Group& saved = snapshot.groups[g];
    groups_[g].states = saved.states;
    groups_[g].learning_rate = saved.learning_rate;
    size_t at = 0;
    for (const ParameterState& state : saved.states) {
      for (const Tensor& tensor : state.tensors) tensor.storage().replace_buffer(saved.buffers[at++]);
    }
  }
}

void OptimizerFamily::add(const OptimizerDef& def) {
  if (!table().emplace(def.name, def).second) fail_internal("optimizer '", def.name, "' is registered twice");
}

const OptimizerDef* find_optimizer(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : &found->second;
}

const OptimizerDef& require_optimizer(std::string_view name) {
  if (const OptimizerDef* def = find_optimizer(name)) return *def;
  std::vector<std::string_view> names;
  for (const auto& [known, def] : table()) names.push_back(known);
  fail("unknown optimizer type ", quoted(name), did_you_mean(name, names));
}

std::vector<const OptimizerDef*> all_optimizers() {
  std::vector<const OptimizerDef*> out;
  for (const auto& [name, def] : table()) out.push_back(&def);
  return out;
}

}  // namespace tapewire
