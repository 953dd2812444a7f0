#include "core/base/suggest.h"
#include "core/optim/optimizer.h"

namespace tapewire {
namespace {

std::map<std::string_view, OptimizerDef>& table() {
  static std::map<std::string_view, OptimizerDef> optimizers;
  return optimizers;
}

}  // namespace

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
