#include <algorithm>
#include <unordered_set>

#include "core/base/error.h"
#include "core/nn/module.h"

namespace tapewire {
namespace {

std::string join(std::string_view prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : str_cat(prefix, ".", name);
}

// Objects met so far; with duplicates allowed, none counts as met.
template <class T>
class Met {
 public:
  explicit Met(bool remove_duplicate) : remove_duplicate_(remove_duplicate) {}
  bool first_time(const T* object) { return !remove_duplicate_ || seen_.insert(object).second; }

 private:
  bool remove_duplicate_;
  std::unordered_set<const T*> seen_;
};

void walk(const std::shared_ptr<Module>& module, const std::string& name, bool recurse, Met<Module>& met,
          std::vector<NamedModule>& out) {
  if (!met.first_time(module.get())) return;
  out.push_back({name, module});
  if (!recurse) return;
  for (const NamedModule& child : module->children()) walk(child.module, join(name, child.name), true, met, out);
}

// The defined tensors of one kind, of all modules that the options name.
template <class Own>
std::vector<NamedTensor> collect(Module& module, const NamedOptions& options, Own&& own) {
  std::vector<NamedTensor> out;
  Met<TensorImpl> met(options.remove_duplicate);
  for (const NamedModule& m : module.named_modules(options)) {
    for (const auto& item : own(*m.module)) {
      if (item.tensor.defined() && met.first_time(item.tensor.impl().get())) {
        out.push_back({join(m.name, item.name), item.tensor});
      }
    }
  }
  return out;
}

std::vector<Tensor> without_names(std::vector<NamedTensor> named) {
  std::vector<Tensor> out;
  out.reserve(named.size());
  for (NamedTensor& item : named) out.push_back(std::move(item.tensor));
  return out;
}

template <class List>
auto with_name(const List& list, std::string_view name) {
  return std::ranges::find(list, name, &List::value_type::name);
}

}  // namespace

std::shared_ptr<Module> Module::child(std::string_view name) const {
  const auto found = with_name(children_, name);
  return found == children_.end() ? nullptr : found->module;
}

std::shared_ptr<Module> Module::find(std::string_view path) {
  std::shared_ptr<Module> at = shared_from_this();
  if (path.empty()) return at;
  while (at) {
    const size_t dot = path.find('.');
    at = at->child(path.substr(0, dot));
    if (dot == std::string_view::npos) return at;
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

std::shared_ptr<Module> Module::get_submodule(std::string_view path) {
  std::shared_ptr<Module> at = shared_from_this();
  if (path.empty()) return at;
  while (true) {
    const size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    std::shared_ptr<Module> below = at->child(name);
    if (!below && at->has_attribute(name)) fail("`", name, "` is not an nn.Module");
    if (!below) fail(at->type(), " has no attribute `", name, "`");
    at = std::move(below);
    if (dot == std::string_view::npos) return at;
    path.remove_prefix(dot + 1);
  }
}

std::shared_ptr<Module> Module::owner_of(std::string_view path, std::string_view& name) {
  const size_t dot = path.rfind('.');
  std::shared_ptr<Module> owner = get_submodule(dot == std::string_view::npos ? "" : path.substr(0, dot));
  name = path.substr(dot == std::string_view::npos ? 0 : dot + 1);
  if (!owner->has_attribute(name)) fail(owner->type(), " has no attribute `", name, "`");
  return owner;
}

Tensor Module::get_parameter(std::string_view path) {
  std::string_view name;
  const std::shared_ptr<Module> owner = owner_of(path, name);
  const auto found = with_name(owner->parameters_, name);
  if (found == owner->parameters_.end() || !found->tensor.defined()) fail("`", name, "` is not an nn.Parameter");
  return found->tensor;
}

Tensor Module::get_buffer(std::string_view path) {
  std::string_view name;
  const std::shared_ptr<Module> owner = owner_of(path, name);
  const auto found = with_name(owner->buffers_, name);
  if (found == owner->buffers_.end()) fail("`", name, "` is not a buffer");
  return found->tensor;
}

std::vector<NamedModule> Module::named_modules(const NamedOptions& options) {
  std::vector<NamedModule> out;
  Met<Module> met(options.remove_duplicate);
  walk(shared_from_this(), options.prefix, options.recurse, met, out);
  return out;
}

std::vector<NamedTensor> Module::named_parameters(const NamedOptions& options) {
  return collect(*this, options, [](const Module& m) -> const auto& { return m.parameters_; });
}

std::vector<NamedTensor> Module::named_buffers(const NamedOptions& options) {
  return collect(*this, options, [](const Module& m) -> const auto& { return m.buffers_; });
}

std::vector<NamedModule> Module::named_children() const {
  std::vector<NamedModule> out;
  Met<Module> met(true);
  for (const NamedModule& child : children_) {
    if (met.first_time(child.module.get())) out.push_back(child);
  }
  return out;
}

std::vector<std::shared_ptr<Module>> Module::modules() {
  std::vector<std::shared_ptr<Module>> out;
  for (NamedModule& m : named_modules()) out.push_back(std::move(m.module));
  return out;
}

std::vector<Tensor> Module::parameters(bool recurse) { return without_names(named_parameters({.recurse = recurse})); }
std::vector<Tensor> Module::buffers(bool recurse) { return without_names(named_buffers({.recurse = recurse})); }

void Module::name_tree() {
  for (const NamedModule& m : named_modules()) m.module->path_ = m.name;
}

}  // namespace tapewire
