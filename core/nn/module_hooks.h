#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/autograd/hooks.h"
#include "core/nn/state_dict.h"
#include "core/tensor/value.h"

namespace tapewire {

class Module;

/// Hooks around a module's call. A returned value replaces what the hook was given; none leaves it.
using ForwardPreHook = std::optional<Args>(Module& module, const Args& args);
using ForwardHook = std::optional<Value>(Module& module, const Args& args, const Value& output);
/// Gradients by position among the top-level arguments (results); undefined where there is none.
using BackwardPreHook = std::optional<Tensors>(Module& module, const Tensors& grad_output);
using BackwardHook = std::optional<Tensors>(Module& module, const Tensors& grad_input, const Tensors& grad_output);

/// What is left to do for a hook that is always called when a call failed; `called`: ids of those that ran already.
using FailedCallHook = std::optional<Value>(Module& module, const Args& args, const Value& output,
                                            const std::vector<uint64_t>& called);

/// The hooks around calls: of one module, or of all.
struct CallHooks {
  bool empty() const { return forward_pre.empty() && forward.empty() && backward_pre.empty() && backward.empty(); }
  HookHandle add_forward(std::function<ForwardHook> hook, bool prepend, bool always_call);

  HookTable<ForwardPreHook> forward_pre;
  HookTable<ForwardHook> forward;
  HookTable<FailedCallHook> failed_call;  // of those of `forward` that are always called
  HookTable<BackwardPreHook> backward_pre;
  HookTable<BackwardHook> backward;
};

/// All hooks of one module.
struct ModuleHooks {
  CallHooks call;
  HookTable<StateDictPreHook> state_dict_pre;
  HookTable<StateDictHook> state_dict;
  HookTable<LoadStateDictPreHook> load_pre;
  HookTable<LoadStateDictPostHook> load_post;
};

/// Hooks that every module calls before its own, in the order in which they were added: PyTorch's global module hooks
/// (torch.nn.modules.module.register_module_forward_hook and the like). They are global to a scope, not to the process:
/// they meet the calls that a thread makes while a GlobalModuleHooksScope makes them current there, and the backward
/// passes of those calls, wherever these run.
///
/// One object may be current on several threads at once, and hooks may be added and removed meanwhile; a hook is then
/// called from all those threads. It must outlive its scopes, but need not outlive tapes or handles.
class GlobalModuleHooks {
 public:
  GlobalModuleHooks();
  GlobalModuleHooks(const GlobalModuleHooks&) = delete;
  GlobalModuleHooks& operator=(const GlobalModuleHooks&) = delete;

  HookHandle register_module_forward_pre_hook(std::function<ForwardPreHook> hook);
  /// `always_call` as in Module::register_forward_hook.
  HookHandle register_module_forward_hook(std::function<ForwardHook> hook, bool always_call = false);
  HookHandle register_module_full_backward_pre_hook(std::function<BackwardPreHook> hook);
  HookHandle register_module_full_backward_hook(std::function<BackwardHook> hook);

  /// Those of this thread's innermost scope; nullptr without one.
  static const CallHooks* current();

 private:
  friend class GlobalModuleHooksScope;

  CallHooks hooks_;
};

/// Makes `hooks` the global ones of this thread for a scope. An inner scope's replace an outer one's.
class GlobalModuleHooksScope {
 public:
  explicit GlobalModuleHooksScope(const GlobalModuleHooks& hooks);
  ~GlobalModuleHooksScope();
  GlobalModuleHooksScope(const GlobalModuleHooksScope&) = delete;
  GlobalModuleHooksScope& operator=(const GlobalModuleHooksScope&) = delete;

 private:
  const CallHooks* previous_;
};

}  // namespace tapewire
