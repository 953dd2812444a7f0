#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "core/autograd/hooks.h"
#include "core/base/mutex.h"
#include "core/tensor/tensor.h"

namespace tapewire {

class Node;

/// Where a gradient goes: the node that computes on with it, as that node's input `input_nr`. Without a node: nowhere.
struct Edge {
  Ref<Node> node;
  uint32_t input_nr = 0;

  explicit operator bool() const { return static_cast<bool>(node); }
};

/// A tensor's gradient hook: may return a gradient of the same type and size, or an undefined tensor for "unchanged".
using TensorHook = Tensor(const Tensor& grad);
/// Before a node runs: sees (and may replace, when it returns as many) the gradients of its outputs.
using NodePreHook = Tensors(const Tensors& grad_outputs);
/// After a node ran: sees (and may replace) the gradients of its inputs.
using NodePostHook = Tensors(const Tensors& grad_inputs, const Tensors& grad_outputs);

/// One recorded operation: takes the gradients of the operation's outputs and gives those of its inputs.
/// The engine calls run() once a backward; a node belongs to the tape that its outputs' grad_fn pointers hold up.
class Node : public GraphNode {
 public:
  static constexpr uint64_t kAccumulateFirst = ~uint64_t{0};
  /// What a node counts as tensor memory: itself with its edges, and the handles of what it saved and put out. A tape
  /// of many operations on little data is mostly this.
  static constexpr size_t kBytes = 768;

  /// Throws RESOURCE_EXHAUSTED when there is no memory for it (kBytes).
  Node();
  explicit Node(uint64_t sequence_nr);
  ~Node() override;

  /// "MulBackward0".
  virtual std::string name() const = 0;
  /// The gradients of the inputs, one an edge; undefined where there is none. `grad_outputs` has one an output of the
  /// operation; undefined where nothing flowed.
  virtual Tensors apply(Tensors grad_outputs) = 0;
  /// Lets go of what was saved; apply then throws "Trying to backward through the graph a second time".
  virtual void release_saved() {}
  /// Bytes that only this node keeps alive, for accounting: each saved tensor's storage.
  virtual void visit_saved(const std::function<void(const Storage&)>&) const {}

  uint64_t sequence_nr() const { return sequence_nr_; }

  const absl::InlinedVector<Edge, 4>& next_edges() const { return next_edges_; }
  void add_next_edge(Edge edge) { next_edges_.push_back(std::move(edge)); }
  void set_next_edge(size_t i, Edge edge) { next_edges_[i] = std::move(edge); }
  /// True when the gradient of input i is wanted.
  bool needs_input(size_t i) const { return i < next_edges_.size() && static_cast<bool>(next_edges_[i]); }

  /// What the operation put out: gradients are validated against it.
  const absl::InlinedVector<TensorSpec, 1>& outputs() const { return outputs_; }
  uint32_t add_output(TensorSpec spec);

  /// Hooks of output i as a tensor; they fire as soon as its gradient is known.
  HookHandle add_tensor_hook(uint32_t output, std::function<TensorHook> hook);
  HookHandle add_pre_hook(std::function<NodePreHook> hook);
  HookHandle add_post_hook(std::function<NodePostHook> hook);
  /// Adds output i's gradient to `cell` whenever it is known (retain_grad), while the cell lives.
  void set_retained(uint32_t output, std::weak_ptr<Tensor> cell);
  /// Ends that; the cell moves to another node.
  void drop_retained(uint32_t output);

  /// The parts of a run, in order; `grads` are changed in place. See SEMANTICS in docs/concepts.md.
  virtual void call_tensor_hooks(Tensors& grads);
  void call_retain_grad(const Tensors& grads);
  void call_pre_hooks(Tensors& grads);
  virtual void call_post_hooks(Tensors& grad_inputs, const Tensors& grad_outputs);
  /// Whether call_post_hooks looks at its arguments.
  virtual bool has_post_hooks() const;

  /// Held while the node applies: two backward passes over a shared part of a tape take turns.
  Mutex& mutex() { return mutex_; }

  /// What was running when the node was made; recorded in anomaly mode.
  const std::string* origin() const;

  void destroy() final;

 private:
  struct Extras;
  Extras& extras();

  uint64_t sequence_nr_;
  absl::InlinedVector<Edge, 4> next_edges_;
  absl::InlinedVector<TensorSpec, 1> outputs_;
  std::unique_ptr<Extras> extras_;
  Mutex mutex_;
};

/// A scope's name on this thread ("conv1", "encoder.layers.0"), which anomaly mode puts into the nodes made inside. The
/// scope does not copy it: it outlives the scope.
class OriginScope {
 public:
  explicit OriginScope(const std::string& path);
  explicit OriginScope(std::string&&) = delete;
  ~OriginScope();
  OriginScope(const OriginScope&) = delete;
  OriginScope& operator=(const OriginScope&) = delete;

 private:
  const std::string* previous_;
};

/// Runs a tensor hook and checks what it returned: same dtype and sizes.
void call_tensor_hook(const std::function<TensorHook>& hook, Tensor& grad);

}  // namespace tapewire
