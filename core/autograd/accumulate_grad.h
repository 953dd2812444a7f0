#pragma once

#include "core/autograd/meta.h"
#include "core/autograd/node.h"

namespace tapewire {

/// The end of every path: adds what arrives to a leaf's gradient. One per leaf while any tape uses it.
class AccumulateGrad final : public Node {
 public:
  explicit AccumulateGrad(Tensor leaf);
  ~AccumulateGrad() override;

  std::string name() const override { return "AccumulateGrad"; }
  Tensors apply(Tensors grads) override;
  void call_tensor_hooks(Tensors& grads) override;
  /// The leaf's post-accumulate-grad hooks, then the node's own.
  void call_post_hooks(Tensors& grad_inputs, const Tensors& grad_outputs) override;
  bool has_post_hooks() const override;

  const Tensor& leaf() const { return leaf_; }

 private:
  Tensor leaf_;
};

/// "Trying to backward through the graph a second time ...", FAILED_PRECONDITION.
[[noreturn]] void fail_second_backward();

}  // namespace tapewire
