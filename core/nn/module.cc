#include "core/nn/module.h"

#include <algorithm>
#include <set>

#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/kernels/copy.h"
#include "core/nn/arguments.h"
#include "core/nn/backward_hooks.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

std::string join(std::string_view prefix, std::string_view name) {
  return prefix.empty() ? std::string(name) : str_cat(prefix, ".", name);
}

void walk_modules(const std::shared_ptr<Module>& module, const std::string& name, std::set<const Module*>& seen,
                  std::vector<NamedModule>& out) {
  if (!seen.insert(module.get()).second) return;
  out.push_back({name, module});
  for (const NamedModule& child : module->children()) walk_modules(child.module, join(name, child.name), seen, out);
}

void collect_state(const Module& module, const std::string& prefix, StateDict& out) {
  for (const NamedTensor& p : module.own_parameters()) {
    if (p.tensor.defined()) out.push_back({join(prefix, p.name), detach(p.tensor)});
  }
  for (const Module::Buffer& b : module.own_buffers()) {
    if (b.persistent && b.tensor.defined()) out.push_back({join(prefix, b.name), detach(b.tensor)});
  }
  for (const NamedModule& child : module.children()) collect_state(*child.module, join(prefix, child.name), out);
}

// Another dtype for a tensor that stays the same object.
void convert_in_place(const Tensor& x, DType dtype) {
  if (!x.defined() || !is_floating(x.dtype()) || x.dtype() == dtype) return;
  NoGradGuard no_grad;
  const Tensor converted = to(detach(x), dtype);
  if (AutogradMeta* meta = find_autograd_meta(x)) {
    // The accumulator of a tape that still lives expects gradients of the old dtype.
    MutexLock lock(meta->mutex);
    meta->accumulator = nullptr;
  }
  x.impl()->storage = converted.storage_ref();
  x.impl()->geometry = converted.geometry();
  x.impl()->dtype = dtype;
  x.impl()->contiguous = true;
  if (const Tensor grad = gradient(x); grad.defined()) convert_in_place(grad, dtype);
}

}  // namespace

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

Value Module::operator()(const Args& args) {
  check_cancelled();
  std::optional<OriginScope> origin;
  if (anomaly_enabled()) origin.emplace(path_);
  try {
    return hooked() ? call_hooked(args) : forward(args);
  } catch (const Error& error) {
    throw error.at(path_);
  }
}

Value Module::call_hooked(Args args) {
  Value output;
  std::vector<uint64_t> called;  // forward hooks, noted while there are some that must always be called
  try {
    std::shared_ptr<ModuleBackwardHooks> backward;
    if (!backward_pre_hooks_.empty() || !backward_hooks_.empty()) {
      backward = std::make_shared<ModuleBackwardHooks>(
          *this, backward_pre_hooks_.empty() ? nullptr : backward_pre_hooks_.snapshot(),
          backward_hooks_.empty() ? nullptr : backward_hooks_.snapshot());
    }
    if (!forward_pre_hooks_.empty()) {
      for (const auto& entry : *forward_pre_hooks_.snapshot()) {
        if (std::optional<Args> replaced = entry.hook(*this, args)) args = std::move(*replaced);
      }
    }
    if (backward) args = backward->watch_inputs(std::move(args));
    output = forward(args);
    if (!forward_hooks_.empty()) {
      const bool note = !always_call_hooks_.empty();
      for (const auto& entry : *forward_hooks_.snapshot()) {
        if (note) called.push_back(entry.id);
        if (std::optional<Value> replaced = entry.hook(*this, args, output)) output = std::move(*replaced);
      }
    }
    if (backward) output = backward->watch_outputs(std::move(output));
  } catch (...) {
    if (!always_call_hooks_.empty()) {
      for (const auto& entry : *always_call_hooks_.snapshot()) {
        try {
          entry.hook(*this, args, output, called);
        } catch (const std::exception&) {
          // The first error is the one to report.
        }
      }
    }
    throw;
  }
  return output;
}

void Module::check_name(std::string_view kind, std::string_view name) const {
  if (name.empty()) fail(kind, " name can't be empty string \"\"");
  if (name.find('.') != std::string_view::npos) fail(kind, " name can't contain \".\", got ", quoted(name));
  const auto has = [&](const auto& list) {
    return std::ranges::any_of(list, [&](const auto& item) { return item.name == name; });
  };
  if (has(parameters_) || has(buffers_) || has(children_)) fail("attribute ", quoted(name), " already exists");
}

Tensor Module::register_parameter(std::string name, Tensor parameter, bool requires_grad) {
  check_name("parameter", name);
  if (parameter.defined()) {
    if (!is_leaf(parameter)) {
      fail("Cannot assign non-leaf Tensor to parameter ", quoted(name),
           ". Model parameters must be created explicitly.");
    }
    if (is_floating(parameter.dtype())) set_requires_grad(parameter, requires_grad);
  }
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
  if (!module) fail("module ", quoted(name), " is null");
  children_.push_back({std::move(name), std::move(module)});
}

std::shared_ptr<Module> Module::child(std::string_view name) const {
  const auto found = std::ranges::find(children_, name, &NamedModule::name);
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

std::vector<NamedModule> Module::named_modules() {
  std::vector<NamedModule> out;
  std::set<const Module*> seen;
  walk_modules(shared_from_this(), "", seen, out);
  return out;
}

std::vector<NamedTensor> Module::named_parameters() {
  std::vector<NamedTensor> out;
  std::set<const TensorImpl*> seen;
  for (const NamedModule& m : named_modules()) {
    for (const NamedTensor& p : m.module->parameters_) {
      if (p.tensor.defined() && seen.insert(p.tensor.impl().get()).second)
        out.push_back({join(m.name, p.name), p.tensor});
    }
  }
  return out;
}

std::vector<NamedTensor> Module::named_buffers() {
  std::vector<NamedTensor> out;
  std::set<const TensorImpl*> seen;
  for (const NamedModule& m : named_modules()) {
    for (const Buffer& b : m.module->buffers_) {
      if (b.tensor.defined() && seen.insert(b.tensor.impl().get()).second)
        out.push_back({join(m.name, b.name), b.tensor});
    }
  }
  return out;
}

StateDict Module::state_dict() const {
  StateDict out;
  collect_state(*this, "", out);
  return out;
}

LoadResult Module::load_state_dict(const StateDict& state, bool strict) {
  LoadResult result;
  std::string mismatches;
  const StateDict own = state_dict();
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const NamedTensor& mine : own) {
    const auto given = std::ranges::find(state, mine.name, &NamedTensor::name);
    if (given == state.end()) {
      result.missing_keys.push_back(mine.name);
    } else if (given->tensor.sizes() != mine.tensor.sizes()) {
      mismatches += str_cat("\n\tsize mismatch for ", mine.name, ": copying a param with shape ",
                            to_string(given->tensor.sizes()), " from checkpoint, the shape in current model is ",
                            to_string(mine.tensor.sizes()), ".");
    } else {
      copies.emplace_back(given->tensor, mine.tensor);
    }
  }
  for (const NamedTensor& given : state) {
    if (std::ranges::find(own, given.name, &NamedTensor::name) == own.end())
      result.unexpected_keys.push_back(given.name);
  }
  std::string faults;
  const auto list = [&](const char* what, const std::vector<std::string>& keys) {
    if (keys.empty()) return;
    faults += str_cat("\n\t", what, " key(s) in state_dict: ");
    for (size_t i = 0; i < keys.size(); ++i) faults += str_cat(i > 0 ? ", " : "", "\"", keys[i], "\"");
    faults += ". ";
  };
  if (strict) {
    list("Missing", result.missing_keys);
    list("Unexpected", result.unexpected_keys);
  }
  faults += mismatches;
  if (!faults.empty()) fail("Error(s) in loading state_dict for ", type(), ":", faults);
  for (const auto& [from, into] : copies) {
    kernels::copy(from, into);
    into.storage().bump_version();
  }
  return result;
}

void Module::train(bool training) {
  for (const NamedModule& m : named_modules()) m.module->training_ = training;
}

void Module::zero_grad(bool set_to_none) {
  for (const NamedTensor& p : named_parameters()) clear_gradient(p.tensor, set_to_none);
}

void Module::apply(const std::function<void(Module&)>& f) {
  for (const NamedModule& child : children_) child.module->apply(f);
  f(*this);
}

void Module::to(DType dtype) {
  if (!is_floating(dtype)) {
    fail("nn.Module.to only accepts floating point dtypes, but got desired dtype=", name_of(dtype));
  }
  apply([dtype](Module& module) {
    for (const NamedTensor& p : module.parameters_) convert_in_place(p.tensor, dtype);
    for (const Buffer& b : module.buffers_) convert_in_place(b.tensor, dtype);
  });
}

HookHandle Module::register_forward_pre_hook(std::function<ForwardPreHook> hook, bool prepend) {
  return forward_pre_hooks_.add(std::move(hook), prepend);
}

HookHandle Module::register_forward_hook(std::function<ForwardHook> hook, bool prepend, bool always_call) {
  if (!always_call) return forward_hooks_.add(std::move(hook), prepend);
  HookHandle passing = forward_hooks_.add(hook, prepend);
  auto call_unless_called = [hook = std::move(hook), id = passing.id()](Module& module, const Args& args,
                                                                        const Value& output,
                                                                        const std::vector<uint64_t>& called) {
    if (std::ranges::find(called, id) == called.end()) hook(module, args, output);
  };
  HookHandle failing = always_call_hooks_.add(std::move(call_unless_called), prepend);
  return HookHandle(passing.id(), [failing, passing]() mutable {
    failing.remove();
    passing.remove();
  });
}

HookHandle Module::register_full_backward_pre_hook(std::function<BackwardPreHook> hook, bool prepend) {
  return backward_pre_hooks_.add(std::move(hook), prepend);
}

HookHandle Module::register_full_backward_hook(std::function<BackwardHook> hook, bool prepend) {
  return backward_hooks_.add(std::move(hook), prepend);
}

std::string Module::repr() const {
  const std::string extra = extra_repr();
  if (children_.empty()) return str_cat(type(), "(", extra, ")");
  std::string out = str_cat(type(), "(\n");
  if (!extra.empty()) out += str_cat("  ", extra, "\n");
  for (const NamedModule& child : children_) {
    out += str_cat("  (", child.name, "): ", indented(child.module->repr()), "\n");
  }
  return out + ")";
}

std::string Module::indented(std::string text) {
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 3)) text.insert(at + 1, "  ");
  return text;
}

void Module::name_tree() {
  for (const NamedModule& m : named_modules()) m.module->path_ = m.name;
}

Value TensorModule::forward(const Args& args) {
  if (args.positional.size() == 1 && args.named.empty() && args.positional[0].is_tensor()) {
    return forward(args.positional[0].tensor());
  }
  return forward(ModuleArguments(type(), {"input"}, args).tensor("input"));
}

}  // namespace tapewire
