#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/autograd/hooks.h"
#include "core/autograd/node.h"
#include "core/base/mutex.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// How a view came to be: decides whether it may be changed in place under grad mode.
enum class ViewOrigin : uint8_t { kDefault, kNoGrad, kMultiOutput, kCustomFunction };

/// A differentiable view: in-place changes to it are changes to its base.
struct ViewInfo {
  Tensor base;                   // itself no view
  uint32_t grad_fn_version = 0;  // at which the view's grad_fn is right
  ViewOrigin origin = ViewOrigin::kDefault;
};

/// What leaves, views and hooked tensors carry beyond their AutogradSlot.
struct AutogradMeta final : AutogradExtra {
  Tensor grad;                       // of a leaf
  std::shared_ptr<Tensor> retained;  // of a non-leaf with retain_grad
  HookTable<TensorHook> hooks;       // of a leaf; others have theirs on grad_fn
  HookTable<void(const Tensor&)> post_accumulate_hooks;
  std::optional<ViewInfo> view;
  Mutex mutex;
  Node* accumulator TW_GUARDED_BY(mutex) = nullptr;  // does not own: it goes with the last tape that uses it

  bool base_requires_grad() const override { return view && view->base.requires_grad(); }
};

/// The tensor's AutogradMeta, made when it has none; or nullptr.
AutogradMeta& autograd_meta(const Tensor& x);
AutogradMeta* find_autograd_meta(const Tensor& x);

/// Marks a leaf as one that gradients accumulate in. Throws "only Tensors of floating point dtype can require
/// gradients" and "you can only change requires_grad flags of leaf variables".
const Tensor& set_requires_grad(const Tensor& x, bool requires_grad = true);
/// True unless an op on tensors that need gradients made x.
bool is_leaf(const Tensor& x);
/// The node that made x, rebuilt first for a view whose base was changed in place; empty for a leaf.
Ref<Node> grad_fn(const Tensor& x);
/// Where x's gradient goes: its grad_fn, or for a leaf its accumulator; no node when x needs none.
Edge gradient_edge(const Tensor& x);

/// x.grad: what backward accumulated; undefined when nothing was.
Tensor gradient(const Tensor& x);
/// Puts a gradient of the same dtype and sizes in place, or none.
void set_gradient(const Tensor& x, Tensor grad);

/// x.detach(): shares storage and version counter, has no history.
Tensor detach(const Tensor& x);
/// Keeps the gradient of a non-leaf in x.grad. Moves along when x is changed in place.
void retain_grad(const Tensor& x);
/// A hook on x's gradient, bound to the grad_fn of this moment.
HookHandle register_hook(const Tensor& x, std::function<TensorHook> hook);
/// Runs after a leaf's gradient was accumulated.
HookHandle register_post_accumulate_grad_hook(const Tensor& x, std::function<void(const Tensor&)> hook);

/// For the mechanism of ops, not for users ------------------------------------------------------------------------

/// Makes x the output `output_nr` of `node`.
void set_history(const Tensor& x, const Ref<Node>& node, uint32_t output_nr);
/// Makes `view` a differentiable view of `input` (or of what that is a view of).
void set_view_of(const Tensor& view, const Tensor& input, ViewOrigin origin);
/// Throws where PyTorch forbids an in-place change of x that is recorded: one under grad mode in which an operand (x or
/// another) needs a gradient.
void check_inplace(const Tensor& x, std::string_view op, bool any_requires_grad);
/// Records that `node` (whose output `output_nr` is the new x) changed x in place; a view's base gets the change too.
/// Takes x's edges before the change from next_edges of node. REQUIRES: the version was bumped already; for a view,
/// output_nr is 0.
void rebase_history(const Tensor& x, const Ref<Node>& node, uint32_t output_nr = 0);

}  // namespace tapewire
