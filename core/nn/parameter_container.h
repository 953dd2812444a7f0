#pragma once

#include <string>
#include <vector>

#include "core/base/fields.h"
#include "core/nn/module.h"

namespace tapewire {

/// Holds parameters by number for a parent's forward to use; called "0", "1", ... An index may count from the end (-1
/// is the last); one outside throws "index 3 is out of range". Cannot be called. torch.nn.ParameterList.
class ParameterList final : public Module {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "ParameterList";
  static constexpr auto kDoc = "holds parameters by number; cannot be called";
  explicit ParameterList(const Options& = {}) {}
  explicit ParameterList(const std::vector<Tensor>& parameters) { extend(parameters); }

  std::string_view type() const override { return kName; }
  /// Throws "ParameterList should not be called."
  Value forward(const Args& args) override;

  size_t size() const { return own_parameters().size(); }
  const Tensor& operator[](size_t i) const { return own_parameters().at(i).tensor; }
  const Tensor& at(int64_t index) const;
  /// A tensor becomes a parameter as by register_parameter: it must be a leaf.
  void append(const Tensor& parameter, bool requires_grad = true);
  void extend(const std::vector<Tensor>& parameters);
  void set(int64_t index, const Tensor& parameter, bool requires_grad = true);
  /// "(0): Parameter containing: [torch.float32 of size 2x3]", a line for each.
  std::string extra_repr() const override;
};

/// Holds parameters by name for a parent's forward to use, in the order in which they came. Cannot be called.
/// torch.nn.ParameterDict.
class ParameterDict final : public Module {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "ParameterDict";
  static constexpr auto kDoc = "holds parameters by name; cannot be called";
  explicit ParameterDict(const Options& = {}) {}
  explicit ParameterDict(const std::vector<NamedTensor>& parameters) { update(parameters); }

  std::string_view type() const override { return kName; }
  /// Throws "ParameterDict should not be called."
  Value forward(const Args& args) override;

  size_t size() const { return own_parameters().size(); }
  bool contains(std::string_view key) const;
  std::vector<std::string> keys() const;
  /// Throws for a key that is not there, with a suggestion.
  Tensor get(std::string_view key) const;
  /// Adds a parameter, or puts it in the place of the one of that name. It must be a leaf.
  void set(const std::string& key, const Tensor& parameter, bool requires_grad = true);
  void update(const std::vector<NamedTensor>& parameters);
  /// Takes a parameter out. Throws as get() does.
  Tensor pop(std::string_view key);
  void clear() { edit_parameters().clear(); }
  /// "(left): Parameter containing: [torch.FloatTensor of size 2x3]", a line for each.
  std::string extra_repr() const override;
};

}  // namespace tapewire
