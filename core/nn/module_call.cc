#include "core/autograd/grad_mode.h"
#include "core/autograd/node.h"
#include "core/base/cancel.h"
#include "core/base/limit_error.h"
#include "core/nn/arguments.h"
#include "core/nn/backward_hooks.h"
#include "core/nn/module.h"

namespace tapewire {

Value Module::operator()(const Args& args) {
  check_cancelled();
  std::optional<OriginScope> origin;
  if (anomaly_enabled()) origin.emplace(path_);
  try {
    const CallHooks* global = GlobalModuleHooks::current();
    const bool hooked = (hooks_ && !hooks_->call.empty()) || (global != nullptr && !global->empty());
    return hooked ? call_hooked(args) : forward(args);
  } catch (const Error& error) {
    throw_at(error, path_);
  }
}

template <class Signature>
typename HookTable<Signature>::Snapshot Module::hooks_to_call(HookTable<Signature> CallHooks::* kind) const {
  const CallHooks* global = GlobalModuleHooks::current();
  const bool any_global = global != nullptr && !(global->*kind).empty();
  const bool any_own = hooks_ && !(hooks_->call.*kind).empty();
  if (!any_global) return any_own ? (hooks_->call.*kind).snapshot() : nullptr;
  if (!any_own) return (global->*kind).snapshot();
  auto both = std::make_shared<std::vector<typename HookTable<Signature>::Entry>>(*(global->*kind).snapshot());
  const auto own = (hooks_->call.*kind).snapshot();
  both->insert(both->end(), own->begin(), own->end());
  return both;
}

Value Module::call_hooked(Args args) {
  Value output;
  std::vector<uint64_t> called;  // the forward hooks that ran
  try {
    std::shared_ptr<ModuleBackwardHooks> backward;
    auto backward_pre_hooks = hooks_to_call(&CallHooks::backward_pre);
    auto backward_hooks = hooks_to_call(&CallHooks::backward);
    if (backward_pre_hooks || backward_hooks) {
      backward = std::make_shared<ModuleBackwardHooks>(*this, std::move(backward_pre_hooks), std::move(backward_hooks));
    }
    if (const auto hooks = hooks_to_call(&CallHooks::forward_pre)) {
      for (const auto& entry : *hooks) {
        if (std::optional<Args> replaced = entry.hook(*this, args)) args = std::move(*replaced);
      }
    }
    if (backward) args = backward->watch_inputs(std::move(args));
    output = forward(args);
    if (const auto hooks = hooks_to_call(&CallHooks::forward)) {
      for (const auto& entry : *hooks) {
        called.push_back(entry.id);
        if (std::optional<Value> replaced = entry.hook(*this, args, output)) output = std::move(*replaced);
      }
    }
    if (backward) output = backward->watch_outputs(std::move(output));
  } catch (...) {
    call_after_failure(args, std::move(output), called);
    throw;
  }
  return output;
}

void Module::call_after_failure(const Args& args, Value output, const std::vector<uint64_t>& called) {
  const auto hooks = hooks_to_call(&CallHooks::failed_call);
  if (!hooks) return;
  for (const auto& entry : *hooks) {
    try {
      if (std::optional<Value> replaced = entry.hook(*this, args, output, called)) output = std::move(*replaced);
    } catch (const std::exception&) {
      // The first error is the one to report.
    }
  }
}

ModuleHooks& Module::hooks() {
  if (!hooks_) hooks_ = std::make_unique<ModuleHooks>();
  return *hooks_;
}

HookHandle Module::register_forward_pre_hook(std::function<ForwardPreHook> hook, bool prepend) {
  return hooks().call.forward_pre.add(std::move(hook), prepend);
}

HookHandle Module::register_forward_hook(std::function<ForwardHook> hook, bool prepend, bool always_call) {
  return hooks().call.add_forward(std::move(hook), prepend, always_call);
}

HookHandle Module::register_full_backward_pre_hook(std::function<BackwardPreHook> hook, bool prepend) {
  return hooks().call.backward_pre.add(std::move(hook), prepend);
}

HookHandle Module::register_full_backward_hook(std::function<BackwardHook> hook, bool prepend) {
  return hooks().call.backward.add(std::move(hook), prepend);
}

Value TensorModule::forward(const Args& args) {
  if (args.positional.size() == 1 && args.named.empty() && args.positional[0].is_tensor()) {
    return forward(args.positional[0].tensor());
  }
  return forward(ModuleArguments(type(), {"input"}, args).tensor("input"));
}

}  // namespace tapewire
