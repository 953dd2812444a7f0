#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/nn/module.h"
#include "core/tensor/attributes.h"

namespace tapewire {

/// What an optimizer needs to go on where another stopped: its state tensors as "fc1.weight.exp_avg" (sharing storage),
/// numbers as "fc1.weight.step", "group0.lr", "group0.initial_lr", "group0.momentum" or "group0.beta1".
struct OptimizerState {
  StateDict tensors;
  std::map<std::string, double, std::less<>> numbers;
};

/// Base of all optimizers (torch.optim.Optimizer): parameters in groups, each with options of its own, and what the
/// update rule remembers of each parameter. One thread at a time.
class Optimizer {
 public:
  /// A state tensor of each of a group's parameters, of the parameter's shape and dtype.
  struct Slot {
    std::string_view name;  // "exp_avg"
    double initial = 0;     // of its elements
    bool needed = true;     // by the next step; what is not is kept where it is there
    bool optional = false;  // a state dict may lack it: the first step that needs it makes it
  };
  /// A number that is remembered of each of a group's parameters.
  struct StateNumber {
    std::string_view name;  // "mu_product"
    double initial = 0;
  };

  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// The class's name: "SGD".
  virtual std::string_view type() const = 0;

  size_t group_count() const { return groups_.size(); }
  const std::vector<NamedTensor>& parameters(size_t group) const { return groups_.at(group).parameters; }
  /// Those of all groups, in order.
  std::vector<NamedTensor> parameters() const;

  /// The rate that the next step uses.
  double learning_rate(size_t group = 0) const { return groups_.at(group).learning_rate; }
  /// What schedules are relative to: the rate that the group had when the first of them was made; until then the
  /// present one.
  double initial_learning_rate(size_t group = 0) const;
  /// Of one group, or of all. Throws "Invalid learning rate: -1.0".
  void set_learning_rate(size_t group, double rate);
  void set_learning_rate(double rate);
  /// The momentum that the next step uses, or beta1 where the optimizer has betas; none where it has neither.
  virtual std::optional<double> momentum(size_t group = 0) const = 0;
  /// Throws, with the words of the optimizer's options, when they cannot be, or when there is no momentum to set.
  void set_momentum(size_t group, double momentum);
  /// Throws as the options' validate() does if the group's momentum were this one. REQUIRES: it has one.
  virtual void check_momentum(size_t group, double momentum) const = 0;

  /// Updates every parameter that has a gradient; its version rises. Whatever can fail fails before the first write:
  /// after an error, or a cancellation, nothing has changed.
  void step();
  /// Drops the gradients of all parameters, or fills them with zeros.
  void zero_grad(bool set_to_none = true);

  OptimizerState state_dict() const;
  /// Copies values in, converting to each parameter's dtype. All faults (keys that fit no parameter, parts of a
  /// parameter's state that are missing, wrong shapes) come in one message, and then nothing has changed.
  void load_state_dict(const OptimizerState& state);

  /// For schedules, which set what they compute, as PyTorch's do: nothing is checked.
  struct Schedule {
    double learning_rate;
    std::optional<double> momentum;
  };
  Schedule schedule(size_t group) const { return {learning_rate(group), momentum(group)}; }
  void set_schedule(size_t group, const Schedule& schedule);
  /// Fixes the initial rates, once.
  void begin_schedules();
  void set_initial_learning_rate(size_t group, double rate) { groups_.at(group).initial_learning_rate = rate; }

  /// Calls visit on every state tensor that exists, in the order of parameters: momentum buffers and the like.
  void visit_state(const std::function<void(Tensor&)>& visit);

  /// Where everything but the parameters stands. Shares the bytes of the state tensors, so taking one is cheap, and
  /// the next step copies what it changes while one is held.
  struct Snapshot;
  Snapshot snapshot() const;
  /// REQUIRES: a snapshot of this optimizer.
  void restore(const Snapshot& snapshot);

 protected:
  /// What is remembered of one parameter.
  struct ParameterState {
    int64_t step = 0;             // updates so far
    Tensors tensors;              // by the positions of slots(); there may be fewer
    std::vector<double> numbers;  // by those of state_numbers(); none before the first update
  };
  /// One parameter in the middle of a step. `state.step` counts this update already.
  struct Update {
    size_t group;
    double learning_rate;
    size_t kept;  // how many of the state tensors are older than this step
    Tensor parameter;
    Tensor gradient;  // of the parameter's dtype and shape, row-major
    ParameterState state;

    /// A state tensor, undefined where there is none.
    Tensor tensor(size_t slot) const { return slot < state.tensors.size() ? state.tensors[slot] : Tensor(); }
  };
  using Groups = std::vector<std::vector<NamedTensor>>;

  /// Throws when there is no parameter at all, when one appears twice, and when one is no floating leaf.
  Optimizer(Groups parameters, const std::vector<double>& learning_rates);
  /// The same for one more group; then nothing has changed.
  void add_group(std::vector<NamedTensor> parameters, double learning_rate);

  /// Those that are not always needed come last.
  virtual std::vector<Slot> slots(size_t group) const = 0;
  virtual std::vector<StateNumber> state_numbers() const { return {}; }
  /// Applies one update to the parameter and its state. Must not fail.
  virtual void update(Update& u) = 0;
  /// REQUIRES: the group has a momentum.
  virtual void store_momentum(size_t group, double momentum) = 0;
  /// "momentum" or "beta1".
  virtual std::string_view momentum_name() const = 0;

 private:
  struct Group {
    std::vector<NamedTensor> parameters;
    std::vector<ParameterState> states;
    double learning_rate;
    double initial_learning_rate;
  };

  class StateLoader;

  void append_group(std::vector<NamedTensor> parameters, double learning_rate);
  // A copy of a parameter's state with its step counted, in the parameter's dtype, with all that the update needs.
  ParameterState advanced(size_t group, size_t index, const std::vector<Slot>& slots) const;

  std::vector<Group> groups_;
  bool scheduled_ = false;
};

struct Optimizer::Snapshot {
  struct Group {
    std::vector<ParameterState> states;
    std::vector<Ref<Buffer>> buffers;  // of all their tensors, in order
    Schedule schedule;
  };
  std::vector<Group> groups;
};

/// The parameters of one group and the options in which it differs from the optimizer's.
struct ParameterGroupSpec {
  std::vector<NamedTensor> parameters;
  AttributeMap overrides;
};

/// What is known of an optimizer class with its options erased.
struct OptimizerDef {
  std::string_view name;
  std::string_view doc;
  std::vector<AttributeInfo> (*attributes)() = nullptr;
  /// Adds one line to `faults` for each bad attribute ("group 1: ..." for one of a group) and then gives nullptr.
  /// Throws Error for parameters that cannot be optimized.
  std::unique_ptr<Optimizer> (*make)(std::vector<ParameterGroupSpec> groups, const AttributeMap& defaults,
                                     std::vector<std::string>& faults) = nullptr;
};

/// nullptr when unknown.
const OptimizerDef* find_optimizer(std::string_view name);
/// The same, throwing "unknown optimizer type 'Adma'; did you mean 'Adam'?".
const OptimizerDef& require_optimizer(std::string_view name);
/// In alphabetical order.
std::vector<const OptimizerDef*> all_optimizers();

/// Registers a file's classes: `const OptimizerFamily kFamily{optimizer_def<Adam>(), optimizer_def<AdamW>()};`
class OptimizerFamily {
 public:
  template <class... Defs>
  explicit OptimizerFamily(const Defs&... defs) {
    (add(defs), ...);
  }

 private:
  static void add(const OptimizerDef& def);
};

/// The part of an optimizer class that its options decide. Options are described (base/fields.h), have a member `lr`,
/// and `void validate() const` that throws PyTorch's messages.
template <Described O>
class OptimizerWith : public Optimizer {
 public:
  using Options = O;
  struct OptionGroup {
    std::vector<NamedTensor> parameters;
    Options options;
  };

  const Options& options(size_t group = 0) const { return options_.at(group); }

  /// torch.optim.Optimizer.add_param_group. Throws, having changed nothing, for options that cannot be and for
  /// parameters that cannot be added ("some parameters appear in more than one parameter group").
  void add_param_group(OptionGroup group) {
    group.options.validate();
    options_.reserve(options_.size() + 1);
    add_group(std::move(group.parameters), group.options.lr);
    options_.push_back(std::move(group.options));
  }

  std::optional<double> momentum(size_t group = 0) const final {
    const double* found = momentum_in(options_.at(group));
    return found == nullptr ? std::nullopt : std::optional(*found);
  }

 protected:
  explicit OptimizerWith(std::vector<OptionGroup> groups) : Optimizer(names(groups), rates(groups)) {
    for (OptionGroup& group : groups) options_.push_back(std::move(group.options));
  }

  void check_momentum(size_t group, double momentum) const final {
    Options changed = options_.at(group);
    *momentum_in(changed) = momentum;
    changed.validate();
  }
  void store_momentum(size_t group, double momentum) final { *momentum_in(options_.at(group)) = momentum; }
  std::string_view momentum_name() const final {
    return requires(Options o) { o.betas; } ? "beta1" : "momentum";
  }

 private:
  // Where the options hold what schedules call momentum; nullptr if nowhere.
  template <class AnyOptions>
  static auto momentum_in(AnyOptions& options) {
    if constexpr (requires { options.betas; }) {
      return &options.betas[0];
    } else if constexpr (requires { options.momentum; }) {
      return &options.momentum;
    } else {
      return static_cast<double*>(nullptr);
    }
  }
  static Groups names(const std::vector<OptionGroup>& groups) {
    Groups out;
    for (const OptionGroup& group : groups) {
      group.options.validate();
      out.push_back(group.parameters);
    }
    return out;
  }
  static std::vector<double> rates(const std::vector<OptionGroup>& groups) {
    std::vector<double> out;
    for (const OptionGroup& group : groups) out.push_back(group.options.lr);
    return out;
  }

  std::vector<Options> options_;
};

/// The def of a class that derives from OptimizerWith and has `static constexpr auto kName` and `kDoc`, and a
/// constructor from a vector of OptionGroup.
template <class T>
OptimizerDef optimizer_def() {
  OptimizerDef def;
  def.name = T::kName;
  def.doc = T::kDoc;
  def.attributes = &attribute_infos<typename T::Options>;
  def.make = [](std::vector<ParameterGroupSpec> groups, const AttributeMap& defaults,
                std::vector<std::string>& faults) -> std::unique_ptr<Optimizer> {
    const size_t before = faults.size();
    const auto parse = [&faults](const AttributeMap& attributes, typename T::Options& options,
                                 const std::string& where) {
      std::vector<std::string> found;
      parse_attributes(attributes, options, found);
      if (found.empty()) {
        try {
          options.validate();
        } catch (const Error& error) {
          found.push_back(error.message());
        }
      }
      for (const std::string& fault : found) faults.push_back(str_cat(where, fault));
    };
    typename T::Options common{};
    parse(defaults, common, "");
    const bool common_is_good = faults.size() == before;
    std::vector<typename T::OptionGroup> option_groups;
    for (size_t i = 0; i < groups.size(); ++i) {
      typename T::Options own = common_is_good ? common : typename T::Options{};
      if (!groups[i].overrides.empty()) parse(groups[i].overrides, own, str_cat("group ", i, ": "));
      option_groups.push_back({std::move(groups[i].parameters), std::move(own)});
    }
    if (faults.size() > before) return nullptr;
    return std::make_unique<T>(std::move(option_groups));
  };
  return def;
}

}  // namespace tapewire
