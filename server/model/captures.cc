#include "server/model/captures.h"

#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/kernels/frozen.h"

namespace tapewire {
namespace {

// The history of a view from the moment it was taken: as if the taken tensor had been copied into it. An in-place
// change of a view is a change of its base, which would otherwise pass by the view's own node.
class TakenCopy final : public Node {
 public:
  TakenCopy(const Edge& taken, const TensorSpec& spec) {
    add_output(spec);
    add_next_edge({});  // what was there before
    add_next_edge(taken);
  }
  std::string name() const override { return "CaptureBackward"; }
  Tensors apply(Tensors grads) override { return {Tensor(), std::move(grads[0])}; }
};

// Whether x is a view that a recorded in-place op may change.
bool may_change_in_place(const Tensor& x) {
  const AutogradMeta* meta = find_autograd_meta(x);
  if (meta == nullptr || !meta->view) return false;
  for (size_t i = 0; i < x.sizes().size(); ++i) {
    if (x.sizes()[i] > 1 && x.strides()[i] == 0) return false;
  }
  try {
    check_inplace(x, "capture", true);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

Captures::~Captures() {
  for (HookHandle& handle : handles_) handle.remove();
}

void Captures::watch(Module& module, const std::string& path) {
  if (!paths_.insert(path).second) return;
  handles_.push_back(module.register_forward_hook([this, path](Module&, const Args&, const Value& output) {
    std::vector<Tensor> tensors;
    flatten_tensors(output, tensors);
    for (size_t i = 0; i < tensors.size(); ++i)
      taken_.push_back({i == 0 ? path : str_cat(path, "_", i), take(tensors[i])});
    return std::optional<Value>();
  }));
}

void Captures::watch_all(const std::vector<std::string>& paths,
                         absl::FunctionRef<Module&(const std::string&)> module_at) {
  for (const std::string& path : paths) watch(module_at(path), path);
}

Tensor Captures::take(const Tensor& output) {
  // No recorded op changes such a leaf, and its gradient is its own.
  if (grad_enabled() && output.requires_grad() && is_leaf(output)) return output;
  Tensor taken = frozen(output);
  if (!grad_enabled() || !output.requires_grad()) return taken;
  const Edge edge = gradient_edge(output);
  const auto [entry, fresh] = known_.try_emplace({edge.node.get(), edge.input_nr}, taken);
  if (fresh) {
    set_history(taken, edge.node, edge.input_nr);
    retain_grad(taken);
    if (may_change_in_place(output)) rebase_history(output, make_ref<TakenCopy>(edge, output.spec()));
  }
  return entry->second;
}

}  // namespace tapewire
