#include <algorithm>
#include <cmath>
#include <set>

#include "core/autograd/meta.h"
#include "core/kernels/copy.h"
#include "core/optim/optimizer.h"

// State dicts and snapshots of optimizers.
namespace tapewire {
namespace {

std::string group_key(size_t group, std::string_view name) { return str_cat("group", group, ".", name); }
std::string state_key(const NamedTensor& parameter, std::string_view name) {
  return str_cat(parameter.name, ".", name);
}

}  // namespace

OptimizerState Optimizer::state_dict() const {
  OptimizerState out;
  const std::vector<StateNumber> numbers = state_numbers();
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    out.numbers[group_key(g, "lr")] = group.learning_rate;
    out.numbers[group_key(g, "initial_lr")] = initial_learning_rate(g);
    if (const std::optional<double> value = momentum(g)) out.numbers[group_key(g, momentum_name())] = *value;
    const std::vector<Slot> slots = this->slots(g);
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      const NamedTensor& p = group.parameters[i];
      const ParameterState& state = group.states[i];
      if (state.step == 0) continue;
      out.numbers[state_key(p, "step")] = static_cast<double>(state.step);
      for (size_t n = 0; n < numbers.size(); ++n) out.numbers[state_key(p, numbers[n].name)] = state.numbers[n];
      for (size_t n = 0; n < state.tensors.size(); ++n) {
        out.tensors.push_back({state_key(p, slots[n].name), detach(state.tensors[n])});
      }
    }
  }
  return out;
}

// Reads a state dict for one optimizer, collecting its faults.
class Optimizer::StateLoader {
 public:
  StateLoader(const Optimizer& optimizer, const OptimizerState& state) : optimizer_(optimizer), state_(state) {
    for (const NamedTensor& t : state.tensors) {
      if (!t.tensor.defined() || !tensors_.emplace(t.name, &t.tensor).second) {
        fault(quoted(t.name), " is none or given twice");
      }
      unused_.insert(t.name);
    }
    for (const auto& [key, number] : state.numbers) unused_.insert(key);
  }

  Group group(size_t index) {
    const std::vector<NamedTensor>& parameters = optimizer_.parameters(index);
    Group out{parameters, {}, rate(group_key(index, "lr")), rate(group_key(index, "initial_lr"))};
    for (const NamedTensor& p : parameters) out.states.push_back(parameter(index, p));
    return out;
  }

  // None where the optimizer has none.
  std::optional<double> momentum(size_t index) {
    if (!optimizer_.momentum(index)) return std::nullopt;
    const std::string key = group_key(index, optimizer_.momentum_name());
    const std::optional<double> value = number(key);
    if (!value) return std::nullopt;
    try {
      optimizer_.check_momentum(index, *value);
    } catch (const Error& error) {
      fault(quoted(key), ": ", error.message());
    }
    return value;
  }

  // Throws all faults.
  void finish() {
    for (const std::string_view key : unused_) fault("unexpected ", quoted(key));
    if (!faults_.empty()) fail("Error(s) in loading state_dict for ", optimizer_.type(), ":", faults_);
  }

 private:
  template <class... Parts>
  void fault(const Parts&... parts) {
    faults_ += str_cat("\n\t", parts...);
  }

  std::optional<double> take(const std::string& key) {
    const auto found = state_.numbers.find(key);
    if (found == state_.numbers.end()) return std::nullopt;
    unused_.erase(key);
    return found->second;
  }

  std::optional<double> number(const std::string& key) {
    const std::optional<double> out = take(key);
    if (!out) fault("missing ", quoted(key));
    return out;
  }

  double rate(const std::string& key) {
    const std::optional<double> out = number(key);
    if (out && !(*out >= 0)) fault(quoted(key), ": Invalid learning rate: ", Value(*out).repr());
    return out.value_or(0);
  }

  ParameterState parameter(size_t group, const NamedTensor& p) {
    ParameterState out;
    const std::string step_key = state_key(p, "step");
    const std::optional<double> step = take(step_key);
    if (!step) return out;  // not updated yet; what else there is of it is reported as unexpected
    if (!(*step >= 1 && *step <= 0x1p53 && *step == std::floor(*step))) {
      fault(quoted(step_key), " must be a count of steps, got ", Value(*step).repr());
      return out;
    }
    out.step = static_cast<int64_t>(*step);
    for (const StateNumber& known : optimizer_.state_numbers()) {
      const std::string key = state_key(p, known.name);
      const std::optional<double> value = number(key);
      if (value && !std::isfinite(*value)) fault(quoted(key), " must be finite, got ", Value(*value).repr());
      out.numbers.push_back(value.value_or(known.initial));
    }
    for (const Slot& slot : optimizer_.slots(group)) {
      if (const Tensor copy = tensor(p, slot); copy.defined()) out.tensors.push_back(copy);
    }
    return out;
  }

  Tensor tensor(const NamedTensor& p, const Slot& slot) {
    const std::string key = state_key(p, slot.name);
    const auto found = tensors_.find(key);
    if (found == tensors_.end()) {
      if (!slot.optional) fault("missing ", quoted(key));
      return {};
    }
    unused_.erase(key);
    if (found->second->sizes() != p.tensor.sizes()) {
      fault("size mismatch for ", key, ": got ", to_string(found->second->sizes()), ", the parameter has ",
            to_string(p.tensor.sizes()));
      return {};
    }
    const Tensor copy = Tensor::empty(p.tensor.sizes(), p.tensor.dtype());
    kernels::copy(*found->second, copy);
    return copy;
  }

  const Optimizer& optimizer_;
  const OptimizerState& state_;
  std::map<std::string_view, const Tensor*> tensors_;
  std::set<std::string_view> unused_;
  std::string faults_;
};

void Optimizer::load_state_dict(const OptimizerState& state) {
  StateLoader loader(*this, state);
  std::vector<Group> loaded;
  std::vector<std::optional<double>> momenta;
  for (size_t g = 0; g < groups_.size(); ++g) {
    loaded.push_back(loader.group(g));
    momenta.push_back(loader.momentum(g));
  }
  loader.finish();
  groups_ = std::move(loaded);
  scheduled_ = true;
  for (size_t g = 0; g < momenta.size(); ++g) {
    if (momenta[g]) store_momentum(g, *momenta[g]);
  }
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
  for (size_t g = 0; g < groups_.size(); ++g) {
    const Group& group = groups_[g];
    Snapshot::Group& saved = out.groups.emplace_back(Snapshot::Group{group.states, {}, schedule(g)});
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
    set_schedule(g, saved.schedule);
    size_t at = 0;
    for (const ParameterState& state : saved.states) {
      for (const Tensor& tensor : state.tensors) tensor.storage().replace_buffer(saved.buffers[at++]);
    }
  }
}

}  // namespace tapewire
