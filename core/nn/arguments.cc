#include "core/nn/arguments.h"

#include <algorithm>

#include "core/base/error.h"

namespace tapewire {
namespace {

std::string joined(const absl::InlinedVector<std::string_view, 8>& names) {
  std::string out;
  for (const std::string_view name : names) out += str_cat(out.empty() ? "" : ", ", name);
  return out;
}

}  // namespace

ModuleArguments::ModuleArguments(std::string_view module, std::span<const std::string_view> names, const Args& args)
    : module_(module), names_(names.begin(), names.end()), values_(names.size(), nullptr) {
  if (args.positional.size() > names_.size()) {
    fail(module_, " takes ", names_.size() == 1 ? "one argument" : str_cat("at most ", names_.size(), " arguments"),
         " (", joined(names_), "), got ", describe_arguments(args));
  }
  for (size_t i = 0; i < args.positional.size(); ++i) values_[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    const auto found = std::ranges::find(names_, name);
    if (found == names_.end()) fail(module_, " has no argument '", name, "'; it takes ", joined(names_));
    const Value*& slot = values_[static_cast<size_t>(found - names_.begin())];
    if (slot != nullptr) fail(module_, " got two values for argument '", name, "'");
    slot = &value;
  }
}

const Value& ModuleArguments::value(std::string_view name) const {
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end()) fail_internal(module_, " asks for an argument '", name, "' that it did not declare");
  static const Value none;
  const Value* value = values_[static_cast<size_t>(found - names_.begin())];
  return value == nullptr ? none : *value;
}

const Tensor& ModuleArguments::tensor(std::string_view name) const {
  const Value& v = value(name);
  if (v.is_none()) fail(module_, ": argument '", name, "' is missing");
  if (!v.is_tensor()) refuse(name, "a tensor");
  return v.tensor();
}

Tensor ModuleArguments::optional_tensor(std::string_view name) const { return given(name) ? tensor(name) : Tensor(); }

bool ModuleArguments::boolean(std::string_view name, bool otherwise) const {
  const Value& v = value(name);
  if (v.is_none()) return otherwise;
  if (!v.is_bool()) refuse(name, "a bool");
  return v.boolean();
}

void ModuleArguments::refuse(std::string_view name, std::string_view expected) const {
  fail(module_, ": argument '", name, "': expected ", expected, ", got ", value(name).describe());
}

std::string describe_arguments(const Args& args) {
  std::string out;
  for (const Value& v : args.positional) out += str_cat(out.empty() ? "" : ", ", v.describe());
  for (const auto& [name, v] : args.named) out += str_cat(out.empty() ? "" : ", ", name, "=", v.describe());
  return str_cat("(", out, ")");
}

}  // namespace tapewire
