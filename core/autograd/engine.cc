#include "core/autograd/engine.h"

#include <algorithm>
#include <memory>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_map.h"
#include "core/autograd/engine_ops.h"
#include "core/autograd/grad_mode.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/tensor/allocator.h"

namespace tapewire {
namespace {

struct Capture {
  uint32_t input_nr;
  size_t result;
};

std::string made_in(const Node& node) {
  const std::string* origin = node.origin();
  return origin != nullptr ? str_cat(" The forward op that made it ran in ", *origin, ".") : std::string();
}

// One walk over a tape.
class Pass {
 public:
  Pass(bool keep_graph, bool create_graph) : keep_graph_(keep_graph), create_graph_(create_graph) {}

  // The gradient that arrives at `edge` becomes result `result`.
  void capture(const Edge& edge, size_t result) {
    tasks_[edge.node.get()].captures.push_back({edge.input_nr, result});
    results_.resize(std::max(results_.size(), result + 1));
    selective_ = true;
  }
  // The node runs although others may be left out.
  void require(const Edge& edge) {
    tasks_[edge.node.get()].needed = true;
    selective_ = true;
  }

  Tensors run(std::vector<Edge> roots, Tensors grads);

  std::optional<Tensors>& kept_for(const void* owner) { return kept_[owner]; }
  // The one that runs on this thread; a hook may run another within.
  static inline constinit thread_local Pass* current = nullptr;

 private:
  struct Task {
    int dependencies = 0;
    bool seen = false;
    bool needed = false;
    Tensors grads;
    std::vector<Capture> captures;
  };

  void count_dependencies(const std::vector<Edge>& roots);
  void mark_needed(const std::vector<Edge>& roots);
  void receive(Task& task, const Node& node, uint32_t input_nr, Tensor grad);
  void run_node(const Ref<Node>& node, Task& task);
  Tensors call(const Ref<Node>& node, Tensors grads);
  static void retain(const Ref<Node>& node, const Tensors& grads);
  static Tensors apply(Node& node, Tensors grads);
  void validate(const Node& node, Tensors& grads) const;

  // Tasks stay where they are while the map grows.
  class TaskMap {
   public:
    Task& operator[](Node* node) {
      std::unique_ptr<Task>& slot = map_[node];
      if (!slot) slot = std::make_unique<Task>();
      return *slot;
    }

    size_t size() const { return map_.size(); }

   private:
    absl::flat_hash_map<Node*, std::unique_ptr<Task>> map_;
  };

  struct Later {
    bool operator()(const Ref<Node>& a, const Ref<Node>& b) const { return a->sequence_nr() < b->sequence_nr(); }
  };

  const bool keep_graph_;
  const bool create_graph_;
  bool selective_ = false;
  std::priority_queue<Ref<Node>, std::vector<Ref<Node>>, Later> ready_;
  Tensors results_;
  TaskMap tasks_;
  std::unordered_map<const void*, std::optional<Tensors>> kept_;
  AdoptedCount memory_;  // of tasks_
};

void Pass::count_dependencies(const std::vector<Edge>& roots) {
  std::vector<Node*> stack;
  const auto visit = [&](Node* node) {
    Task& task = tasks_[node];
    if (!task.seen) {
      task.seen = true;
      stack.push_back(node);
    }
    return &task;
  };
  // Of a task, its place in the map and among the nodes that are ready.
  constexpr size_t kTaskBytes = 160;
  for (const Edge& root : roots) visit(root.node.get());
  while (!stack.empty()) {
    count_work(kTensorWork);
    if (const size_t bytes = tasks_.size() * kTaskBytes; bytes > memory_.bytes()) memory_.add(bytes - memory_.bytes());
    Node* node = stack.back();
    stack.pop_back();
    for (const Edge& edge : node->next_edges()) {
      if (edge) ++visit(edge.node.get())->dependencies;
    }
  }
}

// A node is needed when it leads to a capture or to a required node: found in an iterative post-order walk.
void Pass::mark_needed(const std::vector<Edge>& roots) {
  struct Frame {
    Node* node;
    size_t next;
  };
  absl::flat_hash_map<Node*, bool> visited;
  std::vector<Frame> stack;
  for (const Edge& root : roots) {
    if (visited.try_emplace(root.node.get(), true).second) stack.push_back({root.node.get(), 0});
    while (!stack.empty()) {
      Frame& frame = stack.back();
      if (frame.next < frame.node->next_edges().size()) {
        Node* child = frame.node->next_edges()[frame.next++].node.get();
        if (child != nullptr && visited.try_emplace(child, true).second) stack.push_back({child, 0});
        continue;
      }
      Task& task = tasks_[frame.node];
      for (const Edge& edge : frame.node->next_edges()) {
        if (!edge) continue;
        const Task& next = tasks_[edge.node.get()];
        task.needed = task.needed || next.needed || !next.captures.empty();
      }
      stack.pop_back();
    }
  }
}

void Pass::receive(Task& task, const Node& node, uint32_t input_nr, Tensor grad) {
  if (task.grads.empty()) task.grads.resize(node.outputs().size());
  if (!grad.defined()) return;
  Tensor& sum = task.grads[input_nr];
  sum = sum.defined() ? engine_ops().add(sum, grad) : std::move(grad);
}

void Pass::validate(const Node& node, Tensors& grads) const {
  const auto& edges = node.next_edges();
  // More than asked for may come, but only empty ones.
  bool right_count = grads.size() >= edges.size();
  for (size_t i = edges.size(); i < grads.size(); ++i) right_count = right_count && !grads[i].defined();
  if (!right_count) {
    fail("Function ", node.name(), " returned an invalid number of gradients - expected ", edges.size(), ", but got ",
         grads.size());
  }
  grads.resize(edges.size());
  for (size_t i = 0; i < edges.size(); ++i) {
    Tensor& grad = grads[i];
    if (!edges[i] || !grad.defined()) continue;
    const TensorSpec& expected = edges[i].node->outputs()[edges[i].input_nr];
    if (grad.sizes() != expected.shape) {
      bool expandable = grad.sizes().size() >= expected.shape.size();
      for (size_t back = 1; expandable && back <= expected.shape.size(); ++back) {
        const int64_t want = expected.shape[expected.shape.size() - back];
        expandable = want == 1 || want == grad.sizes()[grad.sizes().size() - back];
      }
      if (!expandable) {
        fail("Function ", node.name(), " returned an invalid gradient at index ", i, " - got ", to_string(grad.sizes()),
             " but expected shape compatible with ", to_string(expected.shape));
      }
      grad = engine_ops().sum_to(grad, expected.shape);
    }
    if (grad.dtype() != expected.dtype) {
      if (!is_floating(grad.dtype())) {
        fail("Function ", node.name(), " returned an invalid gradient at index ", i, " - got ", name_of(grad.dtype()),
             " but expected ", name_of(expected.dtype));
      }
      grad = engine_ops().cast(grad, expected.dtype);
    }
  }
}

void Pass::retain(const Ref<Node>& node, const Tensors& grads) {
  MutexLock lock(node->mutex());
  node->call_retain_grad(grads);
}

// In anomaly mode an error tells which forward op made the node that failed.
Tensors Pass::apply(Node& node, Tensors grads) {
  if (!anomaly_enabled()) return node.apply(std::move(grads));
  try {
    return node.apply(std::move(grads));
  } catch (const Error& error) {
    throw Error(error.code(), str_cat(error.message(), " (in Function '", node.name(), "'.", made_in(node), ")"));
  }
}

// Other passes over a shared part of the tape wait while the node reads, writes or drops what it holds. Hooks run
// outside: they may start a pass of their own.
Tensors Pass::call(const Ref<Node>& node, Tensors grads) {
  retain(node, grads);
  node->call_pre_hooks(grads);
  // Post-hooks see the gradients; without any, the node has the only reference and may keep them.
  Tensors grad_outputs;
  if (node->has_post_hooks()) grad_outputs = grads;
  Tensors grad_inputs;
  {
    MutexLock lock(node->mutex());
    grad_inputs = apply(*node, std::move(grads));
    if (!keep_graph_) node->release_saved();
  }
  validate(*node, grad_inputs);
  if (anomaly_enabled()) {
    for (size_t i = 0; i < grad_inputs.size(); ++i) {
      if (!grad_inputs[i].defined() || !engine_ops().has_nan(grad_inputs[i])) continue;
      fail("Function '", node->name(), "' returned nan values in its ", i, "th output.", made_in(*node));
    }
  }
  node->call_post_hooks(grad_inputs, grad_outputs);
  return grad_inputs;
}

void Pass::run_node(const Ref<Node>& node, Task& task) {
  check_cancelled();
  Tensors grads = std::move(task.grads);
  if (grads.empty()) grads.resize(node->outputs().size());
  node->call_tensor_hooks(grads);
  for (const Capture& capture : task.captures) results_[capture.result] = grads[capture.input_nr];
  const bool runs = !selective_ || task.needed;
  if (!runs) retain(node, grads);
  Tensors grad_inputs = runs ? call(node, std::move(grads)) : Tensors();
  const auto& edges = node->next_edges();
  for (size_t i = 0; i < edges.size(); ++i) {
    if (!edges[i]) continue;
    Task& next = tasks_[edges[i].node.get()];
    if (runs && (!selective_ || next.needed || !next.captures.empty())) {
      receive(next, *edges[i].node, edges[i].input_nr, std::move(grad_inputs[i]));
    }
    if (--next.dependencies == 0) {
      if (!selective_ || next.needed || !next.captures.empty()) ready_.push(edges[i].node);
    }
  }
}

Tensors Pass::run(std::vector<Edge> roots, Tensors grads) {
  count_dependencies(roots);
  if (selective_) mark_needed(roots);
  GradModeGuard mode(create_graph_);
  const absl::Cleanup leave = [previous = std::exchange(current, this)] { current = previous; };
  for (size_t i = 0; i < roots.size(); ++i) {
    Task& task = tasks_[roots[i].node.get()];
    receive(task, *roots[i].node, roots[i].input_nr, std::move(grads[i]));
  }
  for (const Edge& root : roots) {
    Task& task = tasks_[root.node.get()];
    if (task.dependencies == 0) {
      task.dependencies = -1;  // a node that is several outputs' grad_fn starts once
      ready_.push(root.node);
    }
  }
  while (!ready_.empty()) {
    const Ref<Node> node = ready_.top();
    ready_.pop();
    run_node(node, tasks_[node.get()]);
  }
  return std::move(results_);
}

struct Roots {
  std::vector<Edge> edges;
  Tensors grads;
};

Roots make_roots(std::span<const Tensor> outputs, std::span<const Tensor> grad_outputs) {
  if (!grad_outputs.empty() && grad_outputs.size() != outputs.size()) {
    fail("got ", outputs.size(), " tensors and ", grad_outputs.size(), " gradients");
  }
  Roots roots;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& output = outputs[i];
    if (!output.defined()) fail("element ", i, " of tensors is none");
    Tensor grad = grad_outputs.empty() ? Tensor() : grad_outputs[i];
    Edge edge = gradient_edge(output);
    if (!edge) {
      fail_precondition("element ", i, " of tensors does not require grad and does not have a grad_fn");
    }
    if (!grad.defined()) {
      if (output.numel() != 1) fail("grad can be implicitly created only for scalar outputs");
      grad = Tensor::full(output.sizes(), 1.0, output.dtype());
    } else if (grad.sizes() != output.sizes()) {
      fail("Mismatch in shape: grad_output[", i, "] has a shape of ", to_string(grad.sizes()), " and output[", i,
           "] has a shape of ", to_string(output.sizes()), ".");
    } else if (!is_floating(grad.dtype())) {
      fail("grad_output[", i, "] must be of a floating dtype, got ", name_of(grad.dtype()));
    } else if (grad.dtype() != output.dtype()) {
      grad = engine_ops().cast(grad, output.dtype());
    }
    roots.edges.push_back(std::move(edge));
    roots.grads.push_back(std::move(grad));
  }
  return roots;
}

}  // namespace

void backward(std::span<const Tensor> outputs, std::span<const Tensor> grad_outputs, const BackwardOptions& options,
              std::span<const Tensor> inputs) {
  Roots roots = make_roots(outputs, grad_outputs);
  Pass pass(options.retain_graph.value_or(options.create_graph), options.create_graph);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Edge edge = gradient_edge(inputs[i]);
    if (!edge) fail_precondition("One of the differentiated Tensors does not require grad");
    if (!is_leaf(inputs[i])) {
      // Its gradient is kept as if by retain_grad; the node itself need not run.
      retain_grad(inputs[i]);
      pass.capture(edge, i);
    } else {
      pass.require(edge);
    }
  }
  pass.run(std::move(roots.edges), std::move(roots.grads));
}

Tensors grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs, std::span<const Tensor> grad_outputs,
             const GradOptions& options) {
  if (inputs.empty()) fail("grad requires non-empty inputs.");
  Roots roots = make_roots(outputs, grad_outputs);
  Pass pass(options.retain_graph.value_or(options.create_graph), options.create_graph);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Edge edge = gradient_edge(inputs[i]);
    if (!edge) fail_precondition("One of the differentiated Tensors does not require grad");
    pass.capture(edge, i);
  }
  Tensors results = pass.run(std::move(roots.edges), std::move(roots.grads));
  results.resize(inputs.size());
  for (const Tensor& result : results) {
    if (!result.defined() && !options.allow_unused) {
      fail(
          "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this "
          "is the desired behavior.");
    }
  }
  return results;
}

std::optional<Tensors>& kept_for_pass(const void* owner) {
  if (Pass::current == nullptr) fail_internal("kept_for_pass: no pass runs on this thread");
  return Pass::current->kept_for(owner);
}

}  // namespace tapewire
