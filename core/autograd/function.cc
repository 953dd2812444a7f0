#include "core/autograd/function.h"

#include <algorithm>
#include <cstdlib>

#include <cxxabi.h>

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"

namespace tapewire {
namespace {

bool holds(const Tensors& tensors, const Tensor& x) {
  return std::ranges::any_of(tensors, [&](const Tensor& t) { return t.is_same(x); });
}

}  // namespace

Tensors FunctionContext::saved_tensors() const {
  Tensors out;
  for (const SavedTensor& saved : saved_) out.push_back(saved.unpack(Ref<Node>::share(node_)));
  return out;
}

void FunctionNode::set_inputs(const std::vector<bool>& is_tensor, const Tensors& tensors) {
  is_tensor_ = is_tensor;
  for (const Tensor& x : tensors) {
    const bool needs = grad_enabled() && x.defined() && x.requires_grad();
    context_.needs_input_grad_.push_back(needs);
    differentiable_ = differentiable_ || needs;
    add_next_edge(needs ? gradient_edge(x) : Edge{});
  }
}

Tensors FunctionNode::finish(const Ref<FunctionNode>& node, const Tensors& inputs, Tensors outputs) {
  FunctionContext& context = node->context_;
  for (const Tensor& dirty : context.dirty_) {
    if (!holds(inputs, dirty)) fail("mark_dirty: a tensor that is no input was marked as changed in place");
    if (!holds(outputs, dirty)) {
      fail(node->name(),
           ": Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
           "modified inplace must all be outputs of the Function.");
    }
    check_inplace(dirty, node->name(), node->differentiable_);
    const AutogradMeta* meta = find_autograd_meta(dirty);
    if (node->differentiable_ && meta != nullptr && meta->view && outputs.size() > 1) {
      fail(
          node->name(),
          ": If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return "
          "more than one Tensor. This is not supported by the current autograd engine. You should either make sure the "
          "input is not a view (using .clone() for example) or make your Function only return one Tensor (potentially "
          "splitting it into two Functions: one doing the inplace that returns a single Tensor and a second one that "
          "does the other operations).");
    }
    dirty.storage().bump_version();
  }
  if (!node->differentiable_) return outputs;
  for (Tensor& output : outputs) {
    if (!output.defined()) {
      node->add_output({});
      continue;
    }
    const uint32_t number = node->add_output(output.spec());
    const bool dirty = holds(context.dirty_, output);
    // An input returned as it is becomes a new tensor: the input keeps its own history.
    const bool differentiable = is_floating(output.dtype()) && !holds(context.non_differentiable_, output);
    if (!dirty && holds(inputs, output)) {
      const Tensor input = output;
      output = input.alias();
      if (differentiable) set_view_of(output, input, ViewOrigin::kCustomFunction);
    }
    if (!differentiable) continue;
    if (dirty) {
      rebase_history(output, node, number);
      continue;
    }
    set_history(output, node, number);
    // A view that forward made (without grad mode) has this node as its history.
    if (AutogradMeta* meta = find_autograd_meta(output); meta != nullptr && meta->view) {
      meta->view->origin = ViewOrigin::kCustomFunction;
      meta->view->grad_fn_version = output.version();
    }
  }
  for (const Tensor& x : context.to_save_) {
    context.saved_.emplace_back(x, x.defined() && holds(outputs, x));
  }
  context.to_save_.clear();
  context.dirty_.clear();
  context.non_differentiable_.clear();
  return outputs;
}

Tensors FunctionNode::apply(Tensors grads) {
  if (context_.materialize_grads_) {
    for (size_t i = 0; i < grads.size(); ++i) {
      if (!grads[i].defined()) grads[i] = Tensor::zeros(outputs()[i].shape, outputs()[i].dtype);
    }
  }
  const bool opaque = context_.once_differentiable_ && grad_enabled();
  Tensors returned;
  {
    GradModeGuard mode(grad_enabled() && !opaque);
    returned = call_backward(context_, std::move(grads));
  }
  if (returned.size() < is_tensor_.size()) {
    fail("function ", name_, " returned an incorrect number of gradients (expected ", is_tensor_.size(), ", got ",
         returned.size(), ")");
  }
  Tensors out;
  for (size_t i = 0; i < returned.size(); ++i) {
    const bool tensor = i < is_tensor_.size() && is_tensor_[i];
    if (!tensor && returned[i].defined()) {
      if (i >= is_tensor_.size()) {
        fail("function ", name_, " returned an incorrect number of gradients (expected ", is_tensor_.size(), ", got ",
             returned.size(), ")");
      }
      fail("function ", name_, " returned a gradient different from None at position ", i + 1,
           ", but the corresponding forward input was not a Variable");
    }
    if (tensor) out.push_back(std::move(returned[i]));
  }
  if (opaque) {
    struct OnceDifferentiable final : Node {
      std::string name() const override { return "Error"; }
      Tensors apply(Tensors) override {
        fail_precondition("trying to differentiate twice a function that was marked with once_differentiable");
      }
    };
    auto error = make_ref<OnceDifferentiable>();
    for (const Edge& edge : next_edges()) error->add_next_edge(edge);
    for (Tensor& grad : out) {
      if (!grad.defined()) continue;
      grad = detach(grad);
      set_history(grad, error, error->add_output(grad.spec()));
    }
  }
  return out;
}

void FunctionNode::release_saved() {
  for (SavedTensor& saved : context_.saved_) saved.release();
}

void FunctionNode::visit_saved(const std::function<void(const Storage&)>& visit) const {
  for (const SavedTensor& saved : context_.saved_) {
    if (const Storage* storage = saved.storage()) visit(*storage);
  }
}

std::string function_node_name(const std::type_info& type) {
  int status = 0;
  char* demangled = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string name = demangled != nullptr ? demangled : type.name();
  std::free(demangled);
  if (const size_t colon = name.rfind("::"); colon != std::string::npos) name = name.substr(colon + 2);
  return name + "Backward";
}

}  // namespace tapewire
