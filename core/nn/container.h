#pragma once

#include <memory>
#include <vector>

#include "core/base/fields.h"
#include "core/nn/module.h"

namespace tapewire {

/// Modules{a, b} is made in that order, so seeded weights are drawn in it too; arguments of a call are not.
using Modules = std::vector<std::shared_ptr<Module>>;
using NamedModules = std::vector<NamedModule>;

/// What Sequential and ModuleList share: children by position, called "0", "1", ... An index may count from the end
/// (-1 is the last); one outside throws "index 3 is out of range".
class ModuleSequence : public Module {
 public:
  size_t size() const { return children().size(); }
  const std::shared_ptr<Module>& operator[](size_t i) const { return children().at(i).module; }
  const std::shared_ptr<Module>& at(int64_t index) const;

  /// Adds a child under the next number.
  void append(std::shared_ptr<Module> module);
  void extend(const Modules& modules);
  /// Puts a child before the one at `index`, size() being the end; later ones move up by a number. Children must be
  /// called by number.
  void insert(int64_t index, std::shared_ptr<Module> module);
  /// Puts a child in the place of another, under its name.
  void set(int64_t index, std::shared_ptr<Module> module);
  /// Takes a child out; the rest are then called "0", "1", ...
  std::shared_ptr<Module> pop(int64_t index = -1);

 private:
  size_t position(int64_t index) const;
};

/// Calls its children one after the other: each gets what the one before gave. torch.nn.Sequential.
class Sequential final : public ModuleSequence {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "Sequential";
  static constexpr auto kDoc = "calls its children one after the other";
  static constexpr bool kContainer = true;
  explicit Sequential(const Options& = {}) {}
  /// Children called "0", "1", ...
  explicit Sequential(const Modules& modules) { extend(modules); }
  /// Children called as given, as of an OrderedDict.
  explicit Sequential(const NamedModules& modules);

  std::string_view type() const override { return kName; }
  /// The first child gets the arguments as they are. Without children: the one argument itself.
  Value forward(const Args& args) override;
};

/// Holds children for a parent's forward to call. torch.nn.ModuleList.
class ModuleList final : public ModuleSequence {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "ModuleList";
  static constexpr auto kDoc = "holds modules by number; cannot be called";
  static constexpr bool kContainer = true;
  explicit ModuleList(const Options& = {}) {}
  explicit ModuleList(const Modules& modules) { extend(modules); }

  std::string_view type() const override { return kName; }
  /// Throws 'Module [ModuleList] is missing the required "forward" function'.
  Value forward(const Args& args) override;
  /// Equal neighbours in one line: "(0-2): 3 x Linear(...)".
  std::string repr() const override;
};

/// Holds children by name for a parent's forward to call, in the order in which they came. torch.nn.ModuleDict.
class ModuleDict final : public Module {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "ModuleDict";
  static constexpr auto kDoc = "holds modules by name; cannot be called";
  static constexpr bool kContainer = true;
  explicit ModuleDict(const Options& = {}) {}
  explicit ModuleDict(const NamedModules& modules) { update(modules); }

  std::string_view type() const override { return kName; }
  /// Throws 'Module [ModuleDict] is missing the required "forward" function'.
  Value forward(const Args& args) override;

  size_t size() const { return children().size(); }
  bool contains(std::string_view key) const { return child(key) != nullptr; }
  std::vector<std::string> keys() const;
  /// Throws for a key that is not there, with a suggestion.
  std::shared_ptr<Module> get(std::string_view key) const;
  /// Adds a child, or puts it in the place of the one of that name.
  void set(const std::string& key, std::shared_ptr<Module> module);
  void update(const NamedModules& modules);
  /// Takes a child out. Throws as get() does.
  std::shared_ptr<Module> pop(std::string_view key);
  void clear() { edit_children().clear(); }
};

/// Gives its input back. torch.nn.Identity.
class Identity final : public TensorModule {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "Identity";
  static constexpr auto kDoc = "gives its input back";
  explicit Identity(const Options& = {}) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override { return x; }
};

struct FlattenOptions {
  int64_t start_dim = 1;
  int64_t end_dim = -1;
  static constexpr auto fields() {
    return std::tuple{field("start_dim", &FlattenOptions::start_dim, "first dimension to flatten"),
                      field("end_dim", &FlattenOptions::end_dim, "last dimension to flatten")};
  }
};

/// Dimensions start_dim..end_dim become one. torch.nn.Flatten.
class Flatten final : public TensorModule {
 public:
  using Options = FlattenOptions;
  static constexpr auto kName = "Flatten";
  static constexpr auto kDoc = "makes one dimension of start_dim to end_dim; by default of all but the first";
  explicit Flatten(const Options& options = {}) : options_(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 private:
  Options options_;
};

}  // namespace tapewire
