#include "core/ops/registry.h"

#include <map>

#include "core/base/error.h"
#include "core/base/suggest.h"

namespace tapewire {
namespace {

std::map<std::string_view, const OpDef*>& table() {
  static std::map<std::string_view, const OpDef*> ops;
  return ops;
}

}  // namespace

void OpFamily::add(const OpDef& def) {
  if (!table().emplace(def.name, &def).second) fail_internal("op '", def.name, "' is registered twice");
}

const OpDef* find_op(std::string_view name, bool* inplace) {
  if (inplace != nullptr) *inplace = false;
  if (const auto found = table().find(name); found != table().end()) return found->second;
  if (inplace == nullptr || !name.ends_with('_')) return nullptr;
  const auto found = table().find(name.substr(0, name.size() - 1));
  if (found == table().end() || !found->second->inplace) return nullptr;
  *inplace = true;
  return found->second;
}

const OpDef& require_op(std::string_view name, bool* inplace) {
  if (const OpDef* def = find_op(name, inplace)) return *def;
  std::vector<std::string_view> names;
  for (const auto& [known, def] : table()) names.push_back(known);
  fail("unknown op ", quoted(name), did_you_mean(name, names));
}

std::vector<const OpDef*> all_ops() {
  std::vector<const OpDef*> out;
  for (const auto& [name, def] : table()) out.push_back(def);
  return out;
}

}  // namespace tapewire
