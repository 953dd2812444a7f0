#include "core/nn/module_hooks.h"

#include <algorithm>

namespace tapewire {
namespace {

thread_local const CallHooks* global_hooks = nullptr;

// A table makes what its users share at the first add, which must not meet another use of it.
template <class Signature>
void prepare(HookTable<Signature>& table) {
  table.add(nullptr).remove();
}

}  // namespace

HookHandle CallHooks::add_forward(std::function<ForwardHook> hook, bool prepend, bool always_call) {
  if (!always_call) return forward.add(std::move(hook), prepend);
  HookHandle usual = forward.add(hook, prepend);
  auto call_unless_called = [hook = std::move(hook), id = usual.id()](
                                Module& module, const Args& args, const Value& output,
                                const std::vector<uint64_t>& called) -> std::optional<Value> {
    if (std::ranges::find(called, id) != called.end()) return {};
    return hook(module, args, output);
  };
  HookHandle failed = failed_call.add(std::move(call_unless_called), prepend);
  return HookHandle(usual.id(), [usual, failed]() mutable {
    failed.remove();
    usual.remove();
  });
}

GlobalModuleHooks::GlobalModuleHooks() {
  prepare(hooks_.forward_pre);
  prepare(hooks_.forward);
  prepare(hooks_.failed_call);
  prepare(hooks_.backward_pre);
  prepare(hooks_.backward);
}

HookHandle GlobalModuleHooks::register_module_forward_pre_hook(std::function<ForwardPreHook> hook) {
  return hooks_.forward_pre.add(std::move(hook));
}

HookHandle GlobalModuleHooks::register_module_forward_hook(std::function<ForwardHook> hook, bool always_call) {
  return hooks_.add_forward(std::move(hook), false, always_call);
}

HookHandle GlobalModuleHooks::register_module_full_backward_pre_hook(std::function<BackwardPreHook> hook) {
  return hooks_.backward_pre.add(std::move(hook));
}

HookHandle GlobalModuleHooks::register_module_full_backward_hook(std::function<BackwardHook> hook) {
  return hooks_.backward.add(std::move(hook));
}

const CallHooks* GlobalModuleHooks::current() { return global_hooks; }

GlobalModuleHooksScope::GlobalModuleHooksScope(const GlobalModuleHooks& hooks) : previous_(global_hooks) {
  global_hooks = &hooks.hooks_;
}
GlobalModuleHooksScope::~GlobalModuleHooksScope() { global_hooks = previous_; }

}  // namespace tapewire
