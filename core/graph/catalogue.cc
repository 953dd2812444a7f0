#include "core/graph/catalogue.h"

#include <array>

#include "core/nn/init.h"
#include "core/nn/registry.h"
#include "core/ops/registry.h"
#include "core/optim/optimizer.h"
#include "core/optim/scheduler.h"

namespace tapewire {
namespace {

CatalogueEntry op_entry(const OpDef& op) {
  CatalogueEntry entry{.kind = CatalogueKind::kOp,
                       .name = op.name,
                       .doc = op.doc,
                       .attributes = op.attributes(),
                       .differentiable = op.differentiable,
                       .inplace = op.inplace};
  for (const InputDecl& in : op.inputs) entry.inputs.push_back({in.name, in.is_optional, in.is_list});
  for (const OutputDecl& out : op.outputs) {
    if (!out.is_hidden) entry.outputs.push_back(out.name);
  }
  return entry;
}

template <class Def>
void add_all(CatalogueKind kind, const std::vector<const Def*>& defs, std::vector<CatalogueEntry>& out) {
  for (const Def* def : defs) {
    out.push_back({.kind = kind, .name = def->name, .doc = def->doc, .attributes = def->attributes()});
  }
}

std::string signature(const CatalogueEntry& entry) {
  std::string out(entry.name);
  out += "(";
  std::string_view separator;
  for (const CatalogueEntry::Input& in : entry.inputs) {
    out += str_cat(separator, in.list ? "*" : "", in.name, in.optional ? "=None" : "");
    separator = ", ";
  }
  for (const AttributeInfo& row : entry.attributes) {
    out += str_cat(separator, row.name, row.required ? std::string() : str_cat("=", row.default_value.repr()));
    separator = ", ";
  }
  return out + ")";
}

}  // namespace

std::vector<CatalogueEntry> catalogue() {
  std::vector<CatalogueEntry> out;
  for (const OpDef* op : all_ops()) out.push_back(op_entry(*op));
  add_all(CatalogueKind::kModule, all_modules(ModuleKind::kModule), out);
  // A Graph is what its definition says; it has no attributes and no registration.
  out.push_back(
      {.kind = CatalogueKind::kModule, .name = "Graph", .doc = "a module whose forward is data: a list of calls"});
  add_all(CatalogueKind::kLoss, all_modules(ModuleKind::kLoss), out);
  add_all(CatalogueKind::kOptimizer, all_optimizers(), out);
  add_all(CatalogueKind::kScheduler, all_schedulers(), out);
  add_all(CatalogueKind::kInit, all_inits(), out);
  return out;
}

std::string catalogue_markdown() {
  constexpr std::array<std::string_view, 6> kTitles{"Operators",  "Modules",    "Losses",
                                                    "Optimizers", "Schedulers", "Initialisers"};
  std::string out =
      "# Operators, modules, losses, optimizers\n\nGenerated from the code by `./dev docs`. Names, arguments and "
      "defaults "
      "are PyTorch's. An operator marked `_` has an in-place form under its name with an underscore; one marked ∂ is "
      "differentiable, to any order.\n";
  int last = -1;
  for (const CatalogueEntry& entry : catalogue()) {
    if (static_cast<int>(entry.kind) != last) {
      last = static_cast<int>(entry.kind);
      out += str_cat("\n## ", kTitles[static_cast<size_t>(last)], "\n\n");
    }
    out += str_cat("- **`", signature(entry), "`**", entry.inplace ? " `_`" : "", entry.differentiable ? " ∂" : "",
                   ": ", entry.doc, ".\n");
    for (const AttributeInfo& row : entry.attributes) {
      out += str_cat("  - `", row.name, "` (", row.type, row.optional ? " or none" : "",
                     row.required ? ", required" : "", "): ", row.doc, ".\n");
    }
  }
  return out;
}

}  // namespace tapewire
