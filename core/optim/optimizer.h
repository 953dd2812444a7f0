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
/// numbers as "fc1.weight.step", "group0.lr", "group0.initial_lr".
struct OptimizerState {
  StateDict tensors;
  std::map<std::string, double, std::less<>> numbers;
};

/// Base of all optimizers (torch.optim.Optimizer): parameters in groups, each with options of its own, and what the
/// update rule remembers of each parameter. One thread at a time.
class Optimizer {
 public:
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
  /// The rate that the group started with: what schedules are relative to.
  double initial_learning_rate(size_t group = 0) const { return groups_.at(group).initial_learning_rate; }
  /// Of one group, or of all. Throws "Invalid learning rate: -1.0".
  void set_learning_rate(size_t group, double rate);
  void set_learning_rate(double rate);

  /// Updates every parameter that has a gradient; its version rises. Whatever can fail fails before the first write:
  /// after an error, or a cancellation, nothing has changed.
  void step();
  /// Drops the gradients of all parameters, or fills them with zeros.
  void zero_grad(bool set_to_none = true);

  OptimizerState state_dict() const;
  /// Copies values in, converting to each parameter's dtype. All faults (keys that fit no parameter, parts of a
  /// parameter's state that are missing, wrong shapes) come in one message, and then nothing has changed.
  void load_state_dict(const OptimizerState& state);

  /// Calls visit on every state tensor that exists, in the order of parameters: momentum buffers and the like.
  void visit_state(const std::function<void(Tensor&)>& visit);

  /// Where everything but the parameters stands. Shares the bytes of the state tensors, so taking one is cheap, and
  /// the next step copies what it changes while one is held.
  struct Snapshot;
  Snapshot snapshot() const;
  /// REQUIRES: a snapshot of this optimizer.
  void restore(const Snapshot& snapshot);

 protected:
  /// What is remembered of one parameter. Tensors are by the positions of state_names(), of the parameter's shape.
  struct ParameterState {
    int64_t step = 0;  // updates so far
    Tensors tensors;   // empty before the first
  };
  /// One parameter in the middle of a step. `state.step` counts this update already.
  struct Update {
    size_t group;
    double learning_rate;
    Tensor parameter;
    Tensor gradient;  // of the parameter's dtype and shape, row-major
    ParameterState state;
  };
  using Groups = std::vector<std::vector<NamedTensor>>;

  /// Throws when there is no parameter at all, when one appears twice, and when one is no floating leaf.
  Optimizer(Groups parameters, const std::vector<double>& learning_rates);

  /// Names of the state tensors of a group's parameters: "exp_avg".
  virtual std::vector<std::string_view> state_names(size_t group) const = 0;
  /// Applies one update to the parameter and the tensors of its state, which are zeros the first time. Must not fail.
  virtual void update(const Update& u) = 0;

 private:
  struct Group {
    std::vector<NamedTensor> parameters;
    std::vector<ParameterState> states;
    double learning_rate;
    double initial_learning_rate;
  };

  std::vector<Group> groups_;
};

struct Optimizer::Snapshot {
  struct Group {
    std::vector<ParameterState> states;
    std::vector<Ref<Buffer>> buffers;  // of all their tensors, in order
    double learning_rate;
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

 protected:
  explicit OptimizerWith(std::vector<OptionGroup> groups) : Optimizer(names(groups), rates(groups)) {
    for (OptionGroup& group : groups) options_.push_back(std::move(group.options));
  }

 private:
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
