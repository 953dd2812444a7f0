#include "core/nn/registry.h"

#include <map>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/nn/arguments.h"

namespace tapewire {
namespace {

std::map<std::string_view, ModuleDef>& table() {
  static std::map<std::string_view, ModuleDef> modules;
  return modules;
}

}  // namespace

void ModuleFamily::add(const ModuleDef& def) {
  if (!table().emplace(def.name, def).second) fail_internal("module type '", def.name, "' is registered twice");
}

const ModuleDef* find_module(std::string_view name) {
  const auto found = table().find(name);
  return found == table().end() ? nullptr : &found->second;
}

const ModuleDef& require_module(std::string_view name, ModuleKind kind) {
  const ModuleDef* def = find_module(name);
  if (def != nullptr && def->kind == kind) return *def;
  std::vector<std::string_view> names;
  for (const ModuleDef* known : all_modules(kind)) names.push_back(known->name);
  fail(kind == ModuleKind::kLoss ? "unknown loss type " : "unknown module type ", quoted(name),
       did_you_mean(name, names));
}

std::vector<const ModuleDef*> all_modules(ModuleKind kind) {
  std::vector<const ModuleDef*> out;
  for (const auto& [name, def] : table()) {
    if (def.kind == kind) out.push_back(&def);
  }
  return out;
}

Value LossModule::forward(const Args& args) { return compute(arguments(args)); }

Tensors LossModule::arguments(const Args& args) const {
  const ModuleArguments given(type(), argument_names_, args);
  Tensors tensors;
  for (const std::string_view name : argument_names_) tensors.push_back(given.tensor(name));
  return tensors;
}

}  // namespace tapewire
