#include "core/autograd/node.h"

#include <atomic>
#include <utility>
#include <vector>

#include "core/autograd/engine_ops.h"
#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/tensor/allocator.h"

namespace tapewire {
namespace {

std::atomic<uint64_t> next_sequence_nr{0};
thread_local const std::string* current_origin = nullptr;

// Nodes whose last owner has gone, deleted by the outermost destroy() on this thread: a chain of a million nodes
// then takes no stack.
thread_local std::vector<Node*>* doomed = nullptr;

}  // namespace

struct Node::Extras {
  struct TensorEntry {
    uint32_t output;
    HookTable<TensorHook> hooks;
  };
  std::vector<TensorEntry> tensor_hooks;
  std::vector<std::pair<uint32_t, std::weak_ptr<Tensor>>> retained;
  HookTable<NodePreHook> pre_hooks;
  HookTable<NodePostHook> post_hooks;
  std::string origin;
};

Node::Node() : Node(next_sequence_nr.fetch_add(1, std::memory_order_relaxed)) {
  if (anomaly_enabled() && current_origin != nullptr) extras().origin = *current_origin;
}

Node::Node(uint64_t sequence_nr) : sequence_nr_(sequence_nr) { tensor_allocator().count_adopted(kBytes); }

Node::~Node() { tensor_allocator().uncount_adopted(kBytes); }

Node::Extras& Node::extras() {
  if (!extras_) extras_ = std::make_unique<Extras>();
  return *extras_;
}

const std::string* Node::origin() const { return extras_ && !extras_->origin.empty() ? &extras_->origin : nullptr; }

void Node::destroy() {
  if (doomed != nullptr) {
    doomed->push_back(this);
    return;
  }
  std::vector<Node*> pending;
  doomed = &pending;
  delete this;
  while (!pending.empty()) {
    Node* node = pending.back();
    pending.pop_back();
    delete node;
  }
  doomed = nullptr;
}

uint32_t Node::add_output(TensorSpec spec) {
  outputs_.push_back(std::move(spec));
  return static_cast<uint32_t>(outputs_.size() - 1);
}

HookHandle Node::add_tensor_hook(uint32_t output, std::function<TensorHook> hook) {
  for (Extras::TensorEntry& entry : extras().tensor_hooks) {
    if (entry.output == output) return entry.hooks.add(std::move(hook));
  }
  return extras().tensor_hooks.emplace_back(Extras::TensorEntry{output, {}}).hooks.add(std::move(hook));
}

HookHandle Node::add_pre_hook(std::function<NodePreHook> hook) { return extras().pre_hooks.add(std::move(hook)); }
HookHandle Node::add_post_hook(std::function<NodePostHook> hook) { return extras().post_hooks.add(std::move(hook)); }

void Node::set_retained(uint32_t output, std::weak_ptr<Tensor> cell) {
  drop_retained(output);
  extras().retained.emplace_back(output, std::move(cell));
}

void Node::drop_retained(uint32_t output) {
  if (extras_) std::erase_if(extras_->retained, [output](const auto& entry) { return entry.first == output; });
}

void call_tensor_hook(const std::function<TensorHook>& hook, Tensor& grad) {
  Tensor result = hook(grad);
  if (!result.defined()) return;
  if (grad.defined() && result.dtype() != grad.dtype()) {
    fail("hook: the gradient has type ", name_of(grad.dtype()), ", the hook returned ", name_of(result.dtype()));
  }
  if (grad.defined() && result.sizes() != grad.sizes()) {
    fail("hook: the gradient has size ", to_string(grad.sizes()), ", the hook returned ", to_string(result.sizes()));
  }
  grad = std::move(result);
}

void Node::call_tensor_hooks(Tensors& grads) {
  if (!extras_) return;
  // By index: a hook may add hooks, which moves the entries.
  for (size_t i = 0; i < extras_->tensor_hooks.size(); ++i) {
    Tensor& grad = grads[extras_->tensor_hooks[i].output];
    if (!grad.defined()) continue;
    const auto hooks = extras_->tensor_hooks[i].hooks.snapshot();
    for (const auto& hook : *hooks) call_tensor_hook(hook.hook, grad);
  }
}

void Node::call_retain_grad(const Tensors& grads) {
  if (!extras_) return;
  for (const auto& [output, weak] : extras_->retained) {
    const std::shared_ptr<Tensor> cell = weak.lock();
    if (!cell || !grads[output].defined()) continue;
    *cell = cell->defined() ? engine_ops().add(*cell, grads[output]) : engine_ops().clone(grads[output]);
  }
}

void Node::call_pre_hooks(Tensors& grads) {
  if (!extras_ || extras_->pre_hooks.empty()) return;
  const auto hooks = extras_->pre_hooks.snapshot();
  for (const auto& entry : *hooks) {
    Tensors replaced = entry.hook(grads);
    if (replaced.empty()) continue;
    if (replaced.size() != grads.size()) {
      fail(name(), ": a pre-hook returned ", replaced.size(), " gradients, expected ", grads.size());
    }
    grads = std::move(replaced);
  }
}

bool Node::has_post_hooks() const { return extras_ && !extras_->post_hooks.empty(); }

void Node::call_post_hooks(Tensors& grad_inputs, const Tensors& grad_outputs) {
  if (!Node::has_post_hooks()) return;
  const auto hooks = extras_->post_hooks.snapshot();
  for (const auto& entry : *hooks) {
    Tensors replaced = entry.hook(grad_inputs, grad_outputs);
    if (replaced.empty()) continue;
    if (replaced.size() != grad_inputs.size()) {
      fail(name(), ": a post-hook returned ", replaced.size(), " gradients, expected ", grad_inputs.size());
    }
    grad_inputs = std::move(replaced);
  }
}

OriginScope::OriginScope(const std::string& path) : previous_(current_origin) { current_origin = &path; }
OriginScope::~OriginScope() { current_origin = previous_; }

}  // namespace tapewire
