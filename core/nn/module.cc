#include "core/nn/module.h"

#include <algorithm>

#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/kernels/copy.h"

namespace tapewire {

void clear_gradient(const Tensor& parameter, bool set_to_none) {
  const Tensor grad = gradient(parameter);
  if (!grad.defined()) return;
  if (set_to_none) {
    set_gradient(parameter, Tensor());
    return;
  }
  if (grad.requires_grad()) set_gradient(parameter, detach(grad));
  kernels::fill(grad, 0);
  grad.storage().bump_version();
}

bool Module::has_attribute(std::string_view name) const {
  const auto has = [name](const auto& list) {
    return std::ranges::any_of(list, [name](const auto& item) { return item.name == name; });
  };
  return has(parameters_) || has(buffers_) || has(children_);
}

void Module::check_name(std::string_view kind, std::string_view name) const {
  if (name.empty()) fail(kind, " name can't be empty string \"\"");
  if (name.find('.') != std::string_view::npos) fail(kind, " name can't contain \".\", got: ", quoted(name));
  if (has_attribute(name)) fail("attribute ", quoted(name), " already exists");
}

void Module::check_parameter(std::string_view name, const Tensor& parameter, bool requires_grad) {
  if (!parameter.defined()) return;
  if (!is_leaf(parameter)) {
    fail("Cannot assign non-leaf Tensor to parameter ", quoted(name),
         ". Model parameters must be created explicitly. To express ", quoted(name),
         " as a function of another Tensor, compute the value in the forward() method.");
  }
  if (is_floating(parameter.dtype())) set_requires_grad(parameter, requires_grad);
}

void Module::check_module(std::string_view name, const std::shared_ptr<Module>& module) {
  if (!module) fail("module ", quoted(name), " is null");
}

Tensor Module::register_parameter(std::string name, Tensor parameter, bool requires_grad) {
  check_name("parameter", name);
  check_parameter(name, parameter, requires_grad);
  parameters_.push_back({std::move(name), parameter});
  return parameter;
}

Tensor Module::register_buffer(std::string name, Tensor buffer, bool persistent) {
  check_name("buffer", name);
  buffers_.push_back({std::move(name), buffer, persistent});
  return buffer;
}

void Module::register_module(std::string name, std::shared_ptr<Module> module) {
  check_name("module", name);
  check_module(name, module);
  children_.push_back({std::move(name), std::move(module)});
}

void Module::train(bool training) {
  for (const std::shared_ptr<Module>& module : modules()) module->training_ = training;
}

void Module::requires_grad_(bool requires_grad) {
  for (const Tensor& p : parameters()) set_requires_grad(p, requires_grad);
}

void Module::zero_grad(bool set_to_none) {
  for (const Tensor& p : parameters()) clear_gradient(p, set_to_none);
}

void Module::apply(const std::function<void(Module&)>& f) {
  for (const NamedModule& child : named_children()) child.module->apply(f);
  f(*this);
}

std::string Module::repr() const {
  const std::string extra = extra_repr();
  const bool one_line = children_.empty() && extra.find('\n') == std::string::npos;
  if (one_line) return str_cat(type(), "(", extra, ")");
  std::string out = str_cat(type(), "(\n");
  if (!extra.empty()) out += str_cat("  ", indented(extra), "\n");
  for (const NamedModule& child : children_) {
    out += str_cat("  (", child.name, "): ", indented(child.module->repr()), "\n");
  }
  return out + ")";
}

std::string Module::indented(std::string text) {
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 3)) text.insert(at + 1, "  ");
  return text;
}

}  // namespace tapewire
