#pragma once

#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "core/autograd/grad_mode.h"
#include "core/autograd/saved_tensor.h"
#include "core/tensor/tensor.h"
#include "core/tensor/value.h"

namespace tapewire {

/// What a custom Function's forward leaves for its backward (torch.autograd.function.FunctionCtx).
class FunctionContext {
 public:
  /// Tensors (inputs, outputs or others; undefined ones too) for backward. Call it once, in forward.
  void save_for_backward(Tensors tensors) { to_save_ = std::move(tensors); }
  /// What was saved, checked for in-place changes. In backward.
  Tensors saved_tensors() const;
  /// Whether the i-th tensor input wants a gradient. In forward and backward.
  bool needs_input_grad(size_t i) const { return i < needs_input_grad_.size() && needs_input_grad_[i]; }
  /// Inputs that forward changed in place.
  void mark_dirty(Tensors inputs) { dirty_ = std::move(inputs); }
  /// Outputs that get no history.
  void mark_non_differentiable(Tensors outputs) { non_differentiable_ = std::move(outputs); }
  /// False: backward sees undefined gradients as they are. Default true: as zeros.
  void set_materialize_grads(bool materialize) { materialize_grads_ = materialize; }
  /// backward works on raw numbers: differentiating through it again is an error.
  void once_differentiable() { once_differentiable_ = true; }

  /// Anything that is no tensor, by name.
  AttributeMap saved_data;

 private:
  friend class FunctionNode;
  Tensors to_save_;
  Tensors dirty_;
  Tensors non_differentiable_;
  std::vector<bool> needs_input_grad_;
  bool materialize_grads_ = true;
  bool once_differentiable_ = false;
  std::vector<SavedTensor> saved_;
  Node* node_ = nullptr;
};

/// The node of a custom Function: the part that does not depend on the Function's type.
class FunctionNode : public Node {
 public:
  explicit FunctionNode(std::string name) : name_(std::move(name)) { context_.node_ = this; }

  std::string name() const override { return name_; }
  Tensors apply(Tensors grads) override;
  void release_saved() override;
  void visit_saved(const std::function<void(const Storage&)>& visit) const override;

  FunctionContext& context() { return context_; }
  /// Called before forward: which inputs are tensors, and where their gradients go.
  void set_inputs(const std::vector<bool>& is_tensor, const Tensors& tensors);
  /// Called after forward: gives the outputs their history.
  static Tensors finish(const Ref<FunctionNode>& node, const Tensors& inputs, Tensors outputs);

 protected:
  /// T::backward: one gradient an argument of forward.
  virtual Tensors call_backward(FunctionContext& context, Tensors grads) = 0;

 private:
  std::string name_;
  FunctionContext context_;
  std::vector<bool> is_tensor_;
  bool differentiable_ = false;
};

/// A custom autograd function, as torch::autograd::Function in C++:
///
///   struct MulConstant : Function<MulConstant> {
///     static Tensor forward(FunctionContext& ctx, const Tensor& x, double c) { ... }
///     static Tensors backward(FunctionContext& ctx, const Tensors& grads) { return {mul(grads[0], c), Tensor()}; }
///   };
///   Tensor y = MulConstant::call(x, 2.0);
///
/// forward runs without grad mode; a node exists only if grad mode is on and an input needs a gradient. backward
/// returns as many gradients as forward has arguments after the context, undefined ones for what is no tensor; more are
/// fine if they are undefined.
template <class Derived>
class Function {
 public:
  template <class... Inputs>
  static auto call(Inputs&&... inputs);

 private:
  class Backward final : public FunctionNode {
   public:
    using FunctionNode::FunctionNode;

   protected:
    Tensors call_backward(FunctionContext& context, Tensors grads) override {
      return Derived::backward(context, std::move(grads));
    }
  };
};

/// "tapewire::MulConstant" -> "MulConstantBackward".
std::string function_node_name(const std::type_info& type);

template <class Derived>
template <class... Inputs>
auto Function<Derived>::call(Inputs&&... inputs) {
  Tensors tensors;
  std::vector<bool> is_tensor;
  const auto note = [&](const auto& input) {
    constexpr bool kTensor = std::is_same_v<std::remove_cvref_t<decltype(input)>, Tensor>;
    is_tensor.push_back(kTensor);
    if constexpr (kTensor) tensors.push_back(input);
  };
  (note(inputs), ...);
  auto node = make_ref<Backward>(function_node_name(typeid(Derived)));
  node->set_inputs(is_tensor, tensors);
  using Result = decltype(Derived::forward(node->context(), std::forward<Inputs>(inputs)...));
  Tensors outputs;
  {
    NoGradGuard no_grad;
    if constexpr (std::is_same_v<Result, Tensor>) {
      outputs.push_back(Derived::forward(node->context(), std::forward<Inputs>(inputs)...));
    } else {
      outputs = Derived::forward(node->context(), std::forward<Inputs>(inputs)...);
    }
  }
  outputs = FunctionNode::finish(node, tensors, std::move(outputs));
  if constexpr (std::is_same_v<Result, Tensor>) {
    return outputs[0];
  } else {
    return outputs;
  }
}

}  // namespace tapewire
