#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "core/nn/module.h"
#include "core/tensor/attributes.h"

namespace tapewire {

/// All module and loss classes by name. Filled before main, read-only after.

enum class ModuleKind : uint8_t { kModule, kLoss };

/// What is known of a module class with its options erased. `make` draws initial weights from the current generator.
struct ModuleDef {
  std::string_view name;
  std::string_view doc;
  ModuleKind kind = ModuleKind::kModule;
  bool container = false;  // takes children from outside (Sequential)
  std::vector<AttributeInfo> (*attributes)() = nullptr;
  /// Adds one line to `faults` for each bad attribute and then gives nullptr. Throws Error for bad combinations.
  std::shared_ptr<Module> (*make)(const AttributeMap&, std::vector<std::string>& faults) = nullptr;
  const std::type_info* class_id = nullptr;
  /// By the class's copy constructor; for Module::clone(). nullptr for a class that has none.
  std::shared_ptr<Module> (*copy)(const Module&) = nullptr;
};

/// nullptr when unknown.
const ModuleDef* find_module(std::string_view name);
/// The same, throwing "unknown module type 'Conv2D'; did you mean 'Conv2d'?".
const ModuleDef& require_module(std::string_view name, ModuleKind kind);
/// In alphabetical order.
std::vector<const ModuleDef*> all_modules(ModuleKind kind);

/// The def of a class M that has `using Options` (described), `static constexpr auto kName` and `kDoc`, a constructor
/// from Options, and optionally `static constexpr bool kContainer`. Losses derive from LossModule.
template <class M>
ModuleDef module_def();

/// Registers a file's classes: `const ModuleFamily kFamily{module_def<Linear>(), module_def<Bilinear>()};`
class ModuleFamily {
 public:
  template <class... Defs>
  explicit ModuleFamily(const Defs&... defs) {
    (add(defs), ...);
  }

 private:
  static void add(const ModuleDef& def);
};

/// How a prediction is read off a loss's first argument.
enum class Scores : uint8_t {
  kClasses,        // one score a class: the largest
  kLogits,         // one yes-or-no question an element: yes above 0
  kProbabilities,  // the same, yes above 0.5
};

/// A loss: from tensors to a scalar, or to a tensor when not reduced. core/nn/loss_module.h has what classes derive
/// from.
class LossModule : public Module {
 public:
  /// What forward takes, named as in PyTorch ("input", "target"): tensors, none of which may be left out.
  std::span<const std::string_view> argument_names() const { return argument_names_; }
  /// Whether it adds its elements up; a mean otherwise.
  virtual bool sums() const = 0;
  /// Whether it gives one number; with reduction 'none' it does not.
  virtual bool reduces() const = 0;
  Value forward(const Args& args) final;

  /// Of what arguments() gives.
  Tensor forward(std::span<const Tensor> arguments) { return compute(arguments); }
  /// The arguments of a call in the order of argument_names(). Throws for what is missing, unknown or no tensor.
  Tensors arguments(const Args& args) const;
  /// What the mean (KLDivLoss: and batchmean) divides the sum of the losses by: how many there are, or the weight of
  /// those that count; 0 where none does and the mean is NaN. REQUIRES: forward takes the arguments.
  virtual double divisor(std::span<const Tensor> arguments) const = 0;
  /// Throws where forward, as PyTorch's, would broadcast arguments that are meant to be compared element by element,
  /// and names both with their sizes. For callers whose users see no warning.
  virtual void check_sizes(std::span<const Tensor> arguments) const = 0;
  /// The target class that does not count, of a loss that has one.
  virtual std::optional<int64_t> ignore_index() const { return std::nullopt; }
  virtual Scores scores() const { return Scores::kClasses; }

 protected:
  /// REQUIRES: `argument_names` outlives the module.
  explicit LossModule(std::span<const std::string_view> argument_names) : argument_names_(argument_names) {}

  /// `arguments` are as many as argument_names(), in their order.
  virtual Tensor compute(std::span<const Tensor> arguments) = 0;

 private:
  std::span<const std::string_view> argument_names_;
};

template <class M>
ModuleDef module_def() {
  using Options = typename M::Options;
  ModuleDef def;
  def.name = M::kName;
  def.doc = M::kDoc;
  def.kind = std::is_base_of_v<LossModule, M> ? ModuleKind::kLoss : ModuleKind::kModule;
  if constexpr (requires { M::kContainer; }) def.container = M::kContainer;
  def.attributes = &attribute_infos<Options>;
  def.make = [](const AttributeMap& attributes, std::vector<std::string>& faults) -> std::shared_ptr<Module> {
    Options options{};
    const size_t before = faults.size();
    parse_attributes(attributes, options, faults);
    if (faults.size() > before) return nullptr;
    return std::make_shared<M>(options);
  };
  def.class_id = &typeid(M);
  if constexpr (std::is_copy_constructible_v<M>) {
    def.copy = [](const Module& module) -> std::shared_ptr<Module> {
      return std::make_shared<M>(static_cast<const M&>(module));
    };
  }
  return def;
}

}  // namespace tapewire
