#include "core/autograd/accumulate_grad.h"

#include "core/autograd/engine_ops.h"
#include "core/autograd/grad_mode.h"
#include "core/base/error.h"

namespace tapewire {
namespace {

// True when nobody else can see the gradient, so that it may be kept without a copy.
bool may_steal(const Tensor& grad) {
  return grad.impl()->unique() && grad.storage_ref()->unique() && grad.is_contiguous() && grad.offset() == 0 &&
         grad.nbytes() == grad.storage().size();
}

}  // namespace

AccumulateGrad::AccumulateGrad(Tensor leaf) : Node(kAccumulateFirst), leaf_(std::move(leaf)) {
  add_output(leaf_.spec());
}

AccumulateGrad::~AccumulateGrad() {
  AutogradMeta& meta = autograd_meta(leaf_);
  MutexLock lock(meta.mutex);
  if (meta.accumulator == this) meta.accumulator = nullptr;
}

void AccumulateGrad::call_tensor_hooks(Tensors& grads) {
  const HookTable<TensorHook>& hooks = autograd_meta(leaf_).hooks;
  if (hooks.empty() || !grads[0].defined()) return;
  const auto entries = hooks.snapshot();
  for (const auto& entry : *entries) call_tensor_hook(entry.hook, grads[0]);
}

Tensors AccumulateGrad::apply(Tensors grads) {
  Tensor& incoming = grads[0];
  if (!incoming.defined()) return {};
  AutogradMeta& meta = autograd_meta(leaf_);
  if (!meta.grad.defined()) {
    if (!grad_enabled() && may_steal(incoming)) {
      meta.grad = std::move(incoming);
    } else {
      meta.grad = engine_ops().clone(incoming);
    }
  } else if (!grad_enabled()) {
    engine_ops().accumulate(meta.grad, incoming);
    meta.grad.storage().bump_version();
  } else {
    meta.grad = engine_ops().add(meta.grad, incoming);
  }
  return {};
}

bool AccumulateGrad::has_post_hooks() const {
  return Node::has_post_hooks() || !autograd_meta(leaf_).post_accumulate_hooks.empty();
}

void AccumulateGrad::call_post_hooks(Tensors& grad_inputs, const Tensors& grad_outputs) {
  const AutogradMeta& meta = autograd_meta(leaf_);
  if (!meta.post_accumulate_hooks.empty() && !grad_outputs.empty() && grad_outputs[0].defined()) {
    const auto hooks = meta.post_accumulate_hooks.snapshot();
    for (const auto& entry : *hooks) entry.hook(leaf_);
  }
  Node::call_post_hooks(grad_inputs, grad_outputs);
}

void fail_second_backward() {
  fail_precondition(
      "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
      "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
      "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
      "saved "
      "tensors after calling backward.");
}

}  // namespace tapewire
