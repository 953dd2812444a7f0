#include "server/model/model_description.h"

#include "core/base/cancel.h"
#include "core/base/strings.h"

namespace tapewire {

std::shared_ptr<const ModelDescription::Tree> describe_tree(Module& root, const std::vector<NamedModule>& modules) {
  auto tree = std::make_shared<ModelDescription::Tree>();
  for (const NamedModule& m : modules) {
    check_cancelled();
    tree->modules.push_back(
        {m.name, std::string(m.module->type()), str_cat(m.module->type(), "(", m.module->extra_repr(), ")")});
    for (const Module::Buffer& b : m.module->own_buffers()) {
      if (!b.tensor.defined()) continue;
      tree->buffers.push_back({m.name.empty() ? b.name : str_cat(m.name, ".", b.name), b.tensor.spec(), b.persistent});
    }
  }
  for (const NamedTensor& p : root.named_parameters()) {
    tree->parameters.push_back({p.name, p.tensor.spec(), p.tensor.requires_grad()});
  }
  tree->text = root.repr();
  return tree;
}

std::shared_ptr<const std::vector<bool>> describe_modes(const std::vector<NamedModule>& modules) {
  auto modes = std::make_shared<std::vector<bool>>();
  for (const NamedModule& m : modules) modes->push_back(m.module->training());
  return modes;
}

}  // namespace tapewire
