#pragma once

#include <optional>
#include <span>

#include "core/autograd/meta.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct BackwardOptions {
  /// Keep what nodes saved, for another pass. Default: create_graph.
  std::optional<bool> retain_graph;
  /// Record the backward pass itself, so that gradients can be differentiated.
  bool create_graph = false;
};

struct GradOptions {
  std::optional<bool> retain_graph;
  bool create_graph = false;
  /// An undefined gradient, rather than an error, for an input that the outputs do not depend on.
  bool allow_unused = false;
};

/// torch.autograd.backward: adds the gradients of `outputs` to x.grad of the leaves (only of `inputs` when given).
/// `grad_outputs`: one an output, of its sizes; an undefined one, or none at all, stands for 1 of a scalar output.
/// Thread-safe for disjoint tapes, and for shared ones kept by retain_graph.
void backward(std::span<const Tensor> outputs, std::span<const Tensor> grad_outputs = {},
              const BackwardOptions& options = {}, std::span<const Tensor> inputs = {});
inline void backward(const Tensor& output, const Tensor& grad_output = {}, const BackwardOptions& options = {}) {
  backward(std::span(&output, 1), grad_output.defined() ? std::span(&grad_output, 1) : std::span<const Tensor>(),
           options);
}

/// torch.autograd.grad: the gradients of the sum of outputs · grad_outputs by each input, accumulating nothing.
/// An input's gradient is taken after its tensor hooks.
Tensors grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs, std::span<const Tensor> grad_outputs = {},
             const GradOptions& options = {});
inline Tensors grad(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs,
                    std::initializer_list<Tensor> grad_outputs = {}, const GradOptions& options = {}) {
  return grad(std::span(outputs.begin(), outputs.size()), std::span(inputs.begin(), inputs.size()),
              std::span(grad_outputs.begin(), grad_outputs.size()), options);
}

/// What nodes of one pass hand on to each other, under the address of who does: none at first, and gone when the pass
/// of this thread ends, however it does. Kept by the nodes themselves, a gradient that is part of the tape
/// (create_graph) would keep the tape that keeps it. REQUIRES: called from within a pass, as by Node::apply.
std::optional<Tensors>& kept_for_pass(const void* owner);

}  // namespace tapewire
