#include "core/autograd/meta.h"

#include <utility>

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/engine_ops.h"
#include "core/autograd/grad_mode.h"
#include "core/base/error.h"

namespace tapewire {
namespace {

// Where a base's elements lie, counted from its first, and how its gradient is laid out so that views of the base are
// strided views of the gradient, too: as it is when the base is row-major, else spread over the base's span.
class BaseLayout {
 public:
  explicit BaseLayout(const Tensor& base) : layout_(base.geometry()), row_major_(base.is_contiguous()) {
    layout_.offset = 0;
    if (row_major_) {
      room_ = layout_.sizes;
      return;
    }
    int64_t span = base.numel() == 0 ? 0 : 1;
    for (size_t i = 0; i < layout_.sizes.size(); ++i) {
      if (layout_.sizes[i] > 1 && layout_.strides[i] == 0) {
        fail_precondition("in-place change of a view whose base ", to_string(base.spec()), " has strides ",
                          to_string(base.strides()), ": some of its elements are one; clone it first");
      }
      if (span > 0) span += (layout_.sizes[i] - 1) * layout_.strides[i];
    }
    room_ = {span};
  }

  /// The sizes of what spread() gives.
  const Shape& room() const { return room_; }
  Tensor spread(const Tensor& grad) const {
    return row_major_ ? grad : engine_ops().as_strided_backward(grad, layout_, room_);
  }
  Tensor gather(const Tensor& spread) const {
    return row_major_ ? spread : engine_ops().clone(engine_ops().as_strided(spread, layout_));
  }

 private:
  Geometry layout_;
  bool row_major_;
  Shape room_;
};

// The view's place counted from its base's first element.
Geometry relative_geometry(const Tensor& view, const Tensor& base) {
  Geometry geometry = view.geometry();
  geometry.offset -= base.offset();
  return geometry;
}

// The history of a base after an in-place change to a view of it: the gradient of the changed part goes through the
// change, that of the rest passes by. Follows torch/csrc/autograd/functions/tensor.cpp's CopySlices.
class CopySlices final : public Node {
 public:
  CopySlices(const Tensor& base, Geometry view, Ref<Node> change)
      : base_(base), view_(std::move(view)), change_(std::move(change)) {
    add_output(base.spec());
    add_next_edge(gradient_edge(base));
    for (size_t i = 1; i < change_->next_edges().size(); ++i) add_next_edge(change_->next_edges()[i]);
  }

  std::string name() const override { return "CopySlices"; }

  Tensors apply(Tensors grads) override {
    Tensors out(next_edges().size());
    if (!grads[0].defined()) return out;
    if (!change_) fail_second_backward();
    const EngineOps& ops = engine_ops();
    // What else the change put out has no gradient here: it is a result of its own, not part of the base.
    Tensors slice(change_->outputs().size());
    const Tensor all = base_.spread(grads[0]);
    slice[0] = ops.clone(ops.as_strided(all, view_));
    Tensors inner = change_->apply(std::move(slice));
    for (size_t i = 1; i < out.size() && i < inner.size(); ++i) out[i] = std::move(inner[i]);
    if (needs_input(0)) {
      const Tensor part =
          !inner.empty() && inner[0].defined() ? inner[0] : Tensor::zeros(view_.sizes, grads[0].dtype());
      out[0] = base_.gather(ops.as_strided_scatter(all, part, view_));
    }
    return out;
  }
  // Lets the change go, but does not empty it: where its saved output was used in another graph, it is a node of that.
  void release_saved() override { change_ = nullptr; }
  void visit_saved(const std::function<void(const Storage&)>& visit) const override {
    if (change_) change_->visit_saved(visit);
  }

 private:
  BaseLayout base_;
  Geometry view_;
  Ref<Node> change_;
};

// The history of a view after its base was changed through another tensor: a plain strided view of the base.
class StridedView final : public Node {
 public:
  StridedView(const Tensor& base, const Tensor& view) : base_(base), view_(relative_geometry(view, base)) {
    add_output(view.spec());
    add_next_edge(gradient_edge(base));
  }
  std::string name() const override { return "AsStridedBackward0"; }
  Tensors apply(Tensors grads) override {
    if (!grads[0].defined()) return Tensors(1);
    return {base_.gather(engine_ops().as_strided_backward(grads[0], view_, base_.room()))};
  }

 private:
  BaseLayout base_;
  Geometry view_;
};

// Throws when a view must not be changed in place, itself or (`indirect`) through its base; the words are PyTorch's.
void check_view_origin(const Tensor& x, std::string_view op, bool indirect) {
  const ViewOrigin origin = find_autograd_meta(x)->view->origin;
  if (origin == ViewOrigin::kDefault) return;
  const std::string_view modified =
      indirect ? "its base or another view of its base has been modified inplace" : "is being modified inplace";
  const Ref<GraphNode>& made_by = x.autograd().grad_fn;
  const std::string what =
      made_by ? str_cat(op, ": Output ", x.autograd().output_nr, " of ", static_cast<const Node&>(*made_by).name(),
                        " is a view and ", modified, ".")
              : str_cat(op, ": A view was created in no_grad mode and ", modified, " with grad mode enabled.");
  switch (origin) {
    case ViewOrigin::kDefault:
      break;
    case ViewOrigin::kNoGrad:
      fail_precondition(what,
                        " Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your "
                        "code by moving both the view and the inplace either both inside the no_grad block (if you "
                        "don't want the inplace to be tracked) or both outside (if you want the inplace to be "
                        "tracked).");
    case ViewOrigin::kMultiOutput:
      fail_precondition(what,
                        " This view is the output of a function that returns multiple views. Such functions do not "
                        "allow the output views to be modified inplace. You should replace the inplace operation by "
                        "an out-of-place one.");
    case ViewOrigin::kCustomFunction:
      fail_precondition(what,
                        " This view was created inside a custom Function (or because an input was returned as-is) and "
                        "the autograd logic to handle view+inplace would override the custom backward associated with "
                        "the custom Function, leading to incorrect gradients. This behavior is forbidden. You can fix "
                        "this by cloning the output of the custom Function.");
  }
}

// A retained gradient follows its tensor from one grad_fn to the next; hooks stay behind.
void move_retained(const Tensor& x, const Ref<GraphNode>& before, uint32_t output_before) {
  const AutogradMeta* meta = find_autograd_meta(x);
  if (meta == nullptr || !meta->retained) return;
  if (before) static_cast<Node&>(*before).drop_retained(output_before);
  static_cast<Node&>(*x.autograd().grad_fn).set_retained(x.autograd().output_nr, meta->retained);
}

// Gives x another history and takes its retained gradient along.
void replace_history(const Tensor& x, const Ref<Node>& node, uint32_t output_nr) {
  const Ref<GraphNode> before = x.autograd().grad_fn;
  const uint32_t output_before = x.autograd().output_nr;
  set_history(x, node, output_nr);
  move_retained(x, before, output_before);
}

}  // namespace

AutogradMeta* find_autograd_meta(const Tensor& x) { return static_cast<AutogradMeta*>(x.autograd().extra.get()); }

AutogradMeta& autograd_meta(const Tensor& x) {
  auto& extra = x.autograd().extra;
  if (!extra) extra = std::make_unique<AutogradMeta>();
  return static_cast<AutogradMeta&>(*extra);
}

const Tensor& set_requires_grad(const Tensor& x, bool requires_grad) {
  if (requires_grad && !is_floating(x.dtype())) {
    fail("only Tensors of floating point dtype can require gradients, got ", name_of(x.dtype()));
  }
  if (requires_grad && x.is_inference() && !inference_mode_enabled()) {
    fail_precondition("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
  }
  if (!is_leaf(x)) {
    if (requires_grad) return x;
    fail_precondition("you can only change requires_grad flags of leaf variables.");
  }
  x.autograd().requires_grad = requires_grad;
  if (requires_grad) autograd_meta(x);
  return x;
}

bool is_leaf(const Tensor& x) {
  if (x.autograd().grad_fn) return false;
  // A view without a history of its own has its base's once that was changed in place.
  const AutogradMeta* meta = find_autograd_meta(x);
  return meta == nullptr || !meta->base_requires_grad() || meta->view->grad_fn_version == x.version();
}

Ref<Node> grad_fn(const Tensor& x) {
  AutogradSlot& slot = x.autograd();
  if (AutogradMeta* meta = find_autograd_meta(x); meta != nullptr && meta->base_requires_grad()) {
    ViewInfo& view = *meta->view;
    if (view.grad_fn_version != x.version()) {
      check_view_origin(x, "view", true);
      replace_history(x, make_ref<StridedView>(view.base, x), 0);
      view.grad_fn_version = x.version();
    }
  }
  return Ref<Node>::share(static_cast<Node*>(slot.grad_fn.get()));
}

Edge gradient_edge(const Tensor& x) {
  if (Ref<Node> node = grad_fn(x)) return {std::move(node), x.autograd().output_nr};
  if (!x.autograd().requires_grad) return {};
  AutogradMeta& meta = autograd_meta(x);
  MutexLock lock(meta.mutex);
  if (meta.accumulator != nullptr && meta.accumulator->try_retain()) return {Ref<Node>::adopt(meta.accumulator), 0};
  auto accumulator = make_ref<AccumulateGrad>(x);
  meta.accumulator = accumulator.get();
  return {std::move(accumulator), 0};
}

Tensor gradient(const Tensor& x) {
  const AutogradMeta* meta = find_autograd_meta(x);
  if (meta == nullptr) return {};
  return meta->retained ? *meta->retained : meta->grad;
}

void set_gradient(const Tensor& x, Tensor grad) {
  if (grad.defined() && (grad.dtype() != x.dtype() || grad.sizes() != x.sizes())) {
    fail("assigned grad ", to_string(grad.spec()), " to data ", to_string(x.spec()), "; they must match");
  }
  AutogradMeta& meta = autograd_meta(x);
  (meta.retained ? *meta.retained : meta.grad) = std::move(grad);
}

Tensor detach(const Tensor& x) { return x.alias(); }

void retain_grad(const Tensor& x) {
  if (!x.requires_grad()) fail_precondition("can't retain_grad on Tensor that has requires_grad=False");
  const Ref<Node> node = grad_fn(x);
  if (!node) return;
  AutogradMeta& meta = autograd_meta(x);
  if (meta.retained) return;
  meta.retained = std::make_shared<Tensor>();
  node->set_retained(x.autograd().output_nr, meta.retained);
}

HookHandle register_hook(const Tensor& x, std::function<TensorHook> hook) {
  if (!x.requires_grad()) fail_precondition("cannot register a hook on a tensor that doesn't require gradient");
  if (const Ref<Node> node = grad_fn(x)) return node->add_tensor_hook(x.autograd().output_nr, std::move(hook));
  return autograd_meta(x).hooks.add(std::move(hook));
}

HookHandle register_post_accumulate_grad_hook(const Tensor& x, std::function<void(const Tensor&)> hook) {
  if (!x.requires_grad()) fail_precondition("cannot register a hook on a tensor that doesn't require gradient");
  if (!is_leaf(x)) fail_precondition("post accumulate grad hooks cannot be registered on non-leaf tensors");
  return autograd_meta(x).post_accumulate_hooks.add(std::move(hook));
}

void set_history(const Tensor& x, const Ref<Node>& node, uint32_t output_nr) {
  x.autograd().grad_fn = node;
  x.autograd().output_nr = output_nr;
}

void set_view_of(const Tensor& view, const Tensor& input, ViewOrigin origin) {
  const AutogradMeta* meta = find_autograd_meta(input);
  const bool chained = meta != nullptr && meta->view;
  // A view of a view that must not be changed must not be changed either.
  if (chained && origin == ViewOrigin::kDefault) origin = meta->view->origin;
  autograd_meta(view).view = ViewInfo{chained ? meta->view->base : input, view.version(), origin};
}

void check_inplace(const Tensor& x, std::string_view op, bool any_requires_grad) {
  if (x.is_inference() && !inference_mode_enabled()) {
    fail_precondition(op,
                      ": Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone "
                      "to get a normal tensor before doing inplace update.");
  }
  if (!grad_enabled() || !any_requires_grad) return;
  const AutogradMeta* meta = find_autograd_meta(x);
  if (meta != nullptr && meta->view) {
    check_view_origin(x, op, false);
    const Tensor& base = meta->view->base;
    static_cast<void>(BaseLayout(base));  // refuses what cannot be rebased before anything changes
    if (base.autograd().requires_grad && is_leaf(base)) {
      fail_precondition(op, ": a view of a leaf Variable that requires grad is being used in an in-place operation.");
    }
  }
  if (x.autograd().requires_grad && is_leaf(x)) {
    fail_precondition(op, ": a leaf Variable that requires grad is being used in an in-place operation.");
  }
}

void rebase_history(const Tensor& x, const Ref<Node>& node, uint32_t output_nr) {
  AutogradMeta* meta = find_autograd_meta(x);
  if (meta == nullptr || !meta->view) {
    replace_history(x, node, output_nr);
    return;
  }
  const Tensor& base = meta->view->base;
  replace_history(base, make_ref<CopySlices>(base, relative_geometry(x, base), node), 0);
  replace_history(x, make_ref<StridedView>(base, x), 0);
  meta->view->grad_fn_version = x.version();
}

}  // namespace tapewire
