#include "core/nn/container.h"

#include "core/base/error.h"
#include "core/nn/container_support.h"
#include "core/nn/registry.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

[[noreturn]] void fail_without_forward(const Module& module) {
  fail("Module [", module.type(), "] is missing the required \"forward\" function");
}

void number_from(NamedModules& children, size_t first) {
  for (size_t i = first; i < children.size(); ++i) children[i].name = str_cat(i);
}

}  // namespace

size_t ModuleSequence::position(int64_t index) const { return containers::position(index, size()); }

const std::shared_ptr<Module>& ModuleSequence::at(int64_t index) const { return children()[position(index)].module; }

void ModuleSequence::append(std::shared_ptr<Module> module) { register_module(str_cat(size()), std::move(module)); }

void ModuleSequence::extend(const Modules& modules) {
  for (const std::shared_ptr<Module>& module : modules) append(module);
}

void ModuleSequence::insert(int64_t index, std::shared_ptr<Module> module) {
  const auto count = static_cast<int64_t>(size());
  if (index < -count || index > count) fail("Index out of range: ", index);
  for (size_t i = 0; i < size(); ++i) {
    if (children()[i].name != str_cat(i)) {
      fail(type(), ": insert needs children called by number, got ", quoted(children()[i].name));
    }
  }
  const int64_t place = index < 0 ? index + count : index;
  check_module(str_cat(place), module);
  NamedModules& all = edit_children();
  all.insert(all.begin() + place, NamedModule{"", std::move(module)});
  number_from(all, static_cast<size_t>(place));
}

void ModuleSequence::set(int64_t index, std::shared_ptr<Module> module) {
  NamedModule& place = edit_children()[position(index)];
  check_module(place.name, module);
  place.module = std::move(module);
}

std::shared_ptr<Module> ModuleSequence::pop(int64_t index) {
  const auto at = edit_children().begin() + static_cast<int64_t>(position(index));
  std::shared_ptr<Module> out = std::move(at->module);
  edit_children().erase(at);
  number_from(edit_children(), 0);
  return out;
}

Sequential::Sequential(const NamedModules& modules) {
  for (const auto& [name, module] : modules) register_module(name, module);
}

Value Sequential::forward(const Args& args) {
  if (children().empty()) {
    if (args.positional.size() != 1 || !args.named.empty()) {
      fail("Sequential expects one argument, got ", args.positional.size() + args.named.size());
    }
    return args.positional[0];
  }
  Value out = (*children()[0].module)(args);
  for (size_t i = 1; i < children().size(); ++i) out = (*children()[i].module)(Args{out});
  return out;
}

Value ModuleList::forward(const Args&) { fail_without_forward(*this); }

std::string ModuleList::repr() const {
  if (size() == 0) return "ModuleList()";
  std::vector<std::string> reprs;
  for (const NamedModule& child : children()) reprs.push_back(indented(child.module->repr()));
  std::string out = "ModuleList(\n";
  for (size_t first = 0; first < reprs.size();) {
    size_t last = first;
    while (last + 1 < reprs.size() && reprs[last + 1] == reprs[first]) ++last;
    if (last == first) {
      out += str_cat("  (", first, "): ", reprs[first], "\n");
    } else {
      out += str_cat("  (", first, "-", last, "): ", last - first + 1, " x ", reprs[first], "\n");
    }
    first = last + 1;
  }
  return out + ")";
}

Value ModuleDict::forward(const Args&) { fail_without_forward(*this); }

std::vector<std::string> ModuleDict::keys() const { return containers::keys(children()); }

std::shared_ptr<Module> ModuleDict::get(std::string_view key) const {
  return containers::require_key(kName, children(), key)->module;
}

void ModuleDict::set(const std::string& key, std::shared_ptr<Module> module) {
  const auto found = std::ranges::find(edit_children(), key, &NamedModule::name);
  if (found == edit_children().end()) {
    register_module(key, std::move(module));
    return;
  }
  check_module(key, module);
  found->module = std::move(module);
}

void ModuleDict::update(const NamedModules& modules) {
  for (const auto& [name, module] : modules) set(name, module);
}

std::shared_ptr<Module> ModuleDict::pop(std::string_view key) {
  const auto found = containers::require_key(kName, edit_children(), key);
  std::shared_ptr<Module> out = std::move(found->module);
  edit_children().erase(found);
  return out;
}

Tensor Flatten::forward(const Tensor& x) {
  return flatten(x, {.start_dim = options_.start_dim, .end_dim = options_.end_dim});
}
std::string Flatten::extra_repr() const { return attributes_repr(options_); }

namespace {
const ModuleFamily kFamily{module_def<Sequential>(), module_def<ModuleList>(), module_def<ModuleDict>(),
                           module_def<Identity>(), module_def<Flatten>()};
}  // namespace

}  // namespace tapewire
