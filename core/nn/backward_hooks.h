#pragma once

#include "core/nn/module.h"

namespace tapewire {

/// The backward hooks of one call of a module: identity nodes around it on the tape, which show the gradients that come
/// in at its output and go out at its input (torch.utils.hooks.BackwardHook).
class ModuleBackwardHooks : public std::enable_shared_from_this<ModuleBackwardHooks> {
 public:
  /// The hooks are those of this moment; either may be null.
  ModuleBackwardHooks(Module& module, HookTable<BackwardPreHook>::Snapshot pre_hooks,
                      HookTable<BackwardHook>::Snapshot hooks)
      : module_(module.weak_from_this()), pre_hooks_(std::move(pre_hooks)), hooks_(std::move(hooks)) {}

  /// Passes the tensors at the top level of the arguments (of the output) through one identity node.
  Args watch_inputs(Args args);
  Value watch_outputs(Value output);

 private:
  class Identity;

  Tensors on_grad_output(Tensors grads);
  Tensors on_grad_input(Tensors grads);
  std::vector<Value> pass_through(std::vector<Value> values, bool inputs);

  std::weak_ptr<Module> module_;
  HookTable<BackwardPreHook>::Snapshot pre_hooks_;
  HookTable<BackwardHook>::Snapshot hooks_;
  size_t input_count_ = 0;
  size_t output_count_ = 0;
  std::vector<size_t> watched_inputs_;  // positions of those that need a gradient
  std::vector<size_t> watched_outputs_;
};

}  // namespace tapewire
