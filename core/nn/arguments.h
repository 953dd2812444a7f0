#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "core/tensor/value.h"

namespace tapewire {

/// The arguments of one call of a module under the names that PyTorch's forward gives them: positional ones fill the
/// names in order, named ones go by name, and one that is left out is none. Refers to the Args it was made of.
class ModuleArguments {
 public:
  /// `module` begins the errors: "LSTM". Throws for more arguments than names, an unknown name, and one given twice.
  ModuleArguments(std::string_view module, std::span<const std::string_view> names, const Args& args);
  ModuleArguments(std::string_view module, std::initializer_list<std::string_view> names, const Args& args)
      : ModuleArguments(module, std::span(names.begin(), names.size()), args) {}

  /// The argument as it came; none when it was left out. REQUIRES: one of the names.
  const Value& value(std::string_view name) const;
  bool given(std::string_view name) const { return !value(name).is_none(); }

  /// Throws when the argument is left out or is no tensor.
  const Tensor& tensor(std::string_view name) const;
  /// The same, but undefined when left out.
  Tensor optional_tensor(std::string_view name) const;
  bool boolean(std::string_view name, bool otherwise) const;

  /// Throws "LSTM: argument 'hx': expected a tuple, got int 3".
  [[noreturn]] void refuse(std::string_view name, std::string_view expected) const;

 private:
  std::string_view module_;
  absl::InlinedVector<std::string_view, 8> names_;
  absl::InlinedVector<const Value*, 8> values_;  // nullptr: left out
};

/// "(float32 [2, 3], need_weights=bool)": what a call came with, for errors.
std::string describe_arguments(const Args& args);

}  // namespace tapewire
