#include "core/ops/op.h"

#include <cctype>

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"

namespace tapewire {
namespace {

Spec spec_of(const Tensor& x) { return x.defined() ? Spec{x.dtype(), x.sizes(), true} : Spec{}; }

bool any_requires_grad(std::span<const Tensor> inputs) {
  for (const Tensor& x : inputs) {
    if (x.defined() && x.requires_grad()) return true;
  }
  return false;
}

// Casts the operands that take part in promotion to their common dtype. Leaves `storage` empty when none has to be.
Inputs promote_operands(const OpDef& op, Inputs in, Tensors& storage, const Tensor* target) {
  absl::InlinedVector<Tensor, 4> taking_part;
  bool differ = false;
  DType first{};
  for (size_t i = 0; i < in.all().size(); ++i) {
    const Tensor& x = in.all()[i];
    if (!x.defined() || op.inputs[in.declared(i)].is_fixed) continue;
    if (taking_part.empty()) first = x.dtype();
    differ = differ || x.dtype() != first;
    taking_part.push_back(x);
  }
  if (taking_part.empty()) return in;
  DType common = differ ? result_type(taking_part) : first;
  if (taking_part.size() == 1 && taking_part[0].is_wrapped_number() && common == DType::kFloat64) {
    common = DType::kFloat32;
  }
  if (op.promotion == Promotion::kFloat && !is_floating(common)) common = DType::kFloat32;
  if (target != nullptr) {
    // In place the result must fit where it goes: float into int does not.
    if (is_floating(common) && !is_floating(target->dtype())) {
      fail(op.name, "_: result type ", name_of(common), " can't be cast to the desired output type ",
           name_of(target->dtype()));
    }
    if (common != DType::kBool && target->dtype() == DType::kBool) {
      fail(op.name, "_: result type ", name_of(common), " can't be cast to the desired output type bool");
    }
    common = target->dtype();
  }
  if (!differ && common == first) return in;
  for (size_t i = 0; i < in.all().size(); ++i) {
    const Tensor& x = in.all()[i];
    const bool cast = x.defined() && !op.inputs[in.declared(i)].is_fixed && x.dtype() != common;
    if (cast && x.is_wrapped_number()) {
      storage.push_back(Tensor::scalar(x.item_scalar(), common));
    } else {
      storage.push_back(cast ? engine_ops().cast(x, common) : x);
    }
  }
  return Inputs(storage, in.list_at(), in.list_size());
}

void check_operands(const OpDef& op, Inputs in) {
  for (size_t i = 0; i < in.all().size(); ++i) {
    const InputDecl& decl = op.inputs[in.declared(i)];
    if (!in.all()[i].defined() && !decl.is_optional) fail(op.name, ": argument '", decl.name, "' must be a tensor, got none");
  }
}

Ref<OpNode> make_node(const OpDef& op, const void* attrs, Inputs in) {
  Ref<OpNode> node = op.make_node(attrs);
  for (const Tensor& x : in.all()) node->add_next_edge(x.defined() ? gradient_edge(x) : Edge{});
  return node;
}

void record_outputs(const OpDef& op, const Ref<OpNode>& node, Outputs outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const uint32_t number = node->add_output(outputs[i].spec());
    const bool no_grad = i < op.outputs.size() && op.outputs[i].is_no_grad;
    if (!no_grad && is_floating(outputs[i].dtype())) set_history(outputs[i], node, number);
  }
}

Tensors dispatch_view(const OpDef& op, const void* attrs, Inputs in) {
  const Tensor& x = in[0];
  Tensors outputs;
  Geometries geometries = op.view(attrs, x);
  for (Geometry& geometry : geometries) outputs.push_back(x.alias(std::move(geometry)));
  const bool record = grad_enabled() && x.requires_grad() && op.make_node != nullptr;
  if (record) record_outputs(op, make_node(op, attrs, in), outputs);
  if (is_floating(x.dtype())) {
    const ViewOrigin origin = geometries.size() > 1 ? ViewOrigin::kMultiOutput
                              : grad_enabled()      ? ViewOrigin::kDefault
                                                    : ViewOrigin::kNoGrad;
    for (const Tensor& output : outputs) set_view_of(output, x, origin);
  }
  return outputs;
}

TensorSpecs infer(const OpDef& op, const void* attrs, Inputs in) {
  absl::InlinedVector<Spec, 6> specs;
  for (const Tensor& x : in.all()) specs.push_back(spec_of(x));
  return op.infer(attrs, Specs(specs, in.list_at(), in.list_size()));
}

}  // namespace

DType result_type(std::span<const Tensor> inputs) {
  // Three priorities: with dimensions, without, Python numbers. A lower one counts only if of a higher category
  // (bool < int < float), and a Python float then means the default dtype.
  std::optional<DType> level[3];
  for (const Tensor& x : inputs) {
    if (!x.defined()) continue;
    std::optional<DType>& d = level[x.is_wrapped_number() ? 2 : x.dim() == 0 ? 1 : 0];
    const DType own = x.is_wrapped_number() && x.dtype() == DType::kFloat64 ? DType::kFloat32 : x.dtype();
    d = d ? promote(*d, own) : own;
  }
  const auto category = [](DType d) { return is_floating(d) ? 2 : d == DType::kBool ? 0 : 1; };
  std::optional<DType> result;
  for (const std::optional<DType>& d : level) {
    if (d && (!result || category(*d) > category(*result))) result = *d;
  }
  if (!result) fail_internal("result_type of nothing");
  return *result;
}

Tensors dispatch(const OpDef& op, const void* attrs, std::span<const Tensor> inputs, size_t list_size) {
  Inputs in(inputs, op.list_at, list_size);
  check_operands(op, in);
  if (op.compose != nullptr) return op.compose(attrs, in);
  Tensors promoted;
  if (op.promotion != Promotion::kNone) in = promote_operands(op, in, promoted, nullptr);
  if (op.view != nullptr) return dispatch_view(op, attrs, in);

  Tensors outputs;
  for (const TensorSpec& spec : infer(op, attrs, in)) outputs.push_back(Tensor::empty(spec.shape, spec.dtype));
  op.eval(attrs, in, outputs);
  if (op.make_node != nullptr && grad_enabled() && any_requires_grad(in.all())) {
    const Ref<OpNode> node = make_node(op, attrs, in);
    record_outputs(op, node, outputs);
    node->save(in, outputs, {});
  }
  outputs.resize(std::min(outputs.size(), op.visible_outputs));
  return outputs;
}

Tensors dispatch_inplace(const OpDef& op, const void* attrs, std::span<const Tensor> inputs) {
  Inputs in(inputs, op.list_at, 0);
  check_operands(op, in);
  if (!op.inplace) fail_internal(op.name, " has no in-place form");
  const Tensor target = inputs[0];
  check_inplace(target, str_cat(op.name, "_"));
  Tensors promoted;
  if (op.promotion != Promotion::kNone) in = promote_operands(op, in, promoted, &target);
  TensorSpecs specs = infer(op, attrs, in);
  if (specs[0].shape != target.sizes()) {
    fail(op.name, "_: output with shape ", to_string(target.sizes()), " doesn't match the broadcast shape ",
         to_string(specs[0].shape));
  }
  if (specs[0].dtype != target.dtype()) {
    fail(op.name, "_: result type ", name_of(specs[0].dtype), " can't be cast to the desired output type ",
         name_of(target.dtype()));
  }
  const bool record = op.make_node != nullptr && grad_enabled() && any_requires_grad(in.all()) &&
                      is_floating(target.dtype());
  Ref<OpNode> node;
  Tensor before;
  if (record) {
    node = make_node(op, attrs, in);
    for (const SaveDecl& save : op.saves) {
      const bool wanted = save.for_input < 0 || node->needs_input(static_cast<size_t>(save.for_input));
      if (!save.is_output && save.index == 0 && wanted && !before.defined()) before = engine_ops().clone(detach(target));
    }
  }
  Tensors outputs{target};
  for (size_t i = 1; i < specs.size(); ++i) outputs.push_back(Tensor::empty(specs[i].shape, specs[i].dtype));
  op.eval(attrs, in, outputs);
  target.storage().bump_version();
  if (record) {
    for (const Tensor& out : outputs) node->add_output(out.spec());
    node->save(in, outputs, before);
    rebase_history(target, node);
    for (size_t i = 1; i < outputs.size(); ++i) {
      const bool no_grad = i < op.outputs.size() && op.outputs[i].is_no_grad;
      if (!no_grad && is_floating(outputs[i].dtype())) set_history(outputs[i], node, static_cast<uint32_t>(i));
    }
  }
  outputs.resize(std::min(outputs.size(), op.visible_outputs));
  return outputs;
}

// "log_softmax" -> "LogSoftmaxBackward0".
std::string OpNode::name() const {
  std::string out;
  bool upper = true;
  for (const char c : op_.name) {
    if (c == '_' || c == '.') {
      upper = true;
      continue;
    }
    out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return out + "Backward0";
}

void OpNode::save(Inputs inputs, Outputs outputs, const Tensor& mutated) {
  list_size_ = inputs.list_size();
  for (const SaveDecl& decl : op_.saves) {
    const auto i = static_cast<size_t>(decl.index);
    const size_t count = !decl.is_output && i == op_.list_at ? list_size_ : 1;
    const bool wanted = decl.for_input < 0 || needs_input(flat(static_cast<size_t>(decl.for_input)));
    for (size_t n = 0; n < count; ++n) {
      if (!wanted) {
        saved_.emplace_back();
      } else if (decl.is_output) {
        saved_.emplace_back(outputs[i], true);
      } else if (i == 0 && mutated.defined()) {
        saved_.emplace_back(mutated, false);
      } else {
        saved_.emplace_back(inputs.all()[flat(i) + n], false);
      }
    }
  }
}

Tensor OpNode::saved(bool is_output, size_t index, size_t list_index) const {
  size_t at = 0;
  for (const SaveDecl& decl : op_.saves) {
    const bool list = !decl.is_output && static_cast<size_t>(decl.index) == op_.list_at;
    if (decl.is_output == is_output && static_cast<size_t>(decl.index) == index) {
      return saved_[at + list_index].unpack(Ref<Node>::share(const_cast<OpNode*>(this)));
    }
    at += list ? list_size_ : 1;
  }
  fail_internal(op_.name, ": vjp asks for ", is_output ? "output " : "input ", index, ", which it does not save");
}

void OpNode::release_saved() {
  for (SavedTensor& saved : saved_) saved.release();
}

void OpNode::visit_saved(const std::function<void(const Storage&)>& visit) const {
  for (const SavedTensor& saved : saved_) {
    if (const Storage* storage = saved.storage()) visit(*storage);
  }
}

Tensor Vjp::grad(size_t i) const {
  if (grads_[i].defined()) return grads_[i];
  const TensorSpec& spec = node_.outputs()[i];
  return Tensor::zeros(spec.shape, spec.dtype);
}

Tensor Vjp::input(size_t i) const { return node_.saved(false, i); }
Tensor Vjp::output(size_t i) const { return node_.saved(true, i); }

std::vector<Tensor> Vjp::input_list() const {
  std::vector<Tensor> out;
  for (size_t n = 0; n < node_.list_size(); ++n) out.push_back(node_.saved(false, node_.op().list_at, n));
  return out;
}

bool Vjp::needs(size_t i) const { return node_.needs_input(node_.flat(i)); }
bool Vjp::needs_list(size_t n) const { return node_.needs_input(node_.op().list_at + n); }
size_t Vjp::list_size() const { return node_.list_size(); }

namespace {
const TensorSpec& target_spec(const OpNode& node, size_t flat) {
  if (!node.needs_input(flat)) fail_internal(node.name(), ": the sizes of an input that needs no gradient are not kept");
  const Edge& edge = node.next_edges()[flat];
  return edge.node->outputs()[edge.input_nr];
}
}  // namespace

const Shape& Vjp::sizes(size_t i) const { return target_spec(node_, node_.flat(i)).shape; }
const Shape& Vjp::list_sizes(size_t n) const { return target_spec(node_, node_.op().list_at + n).shape; }
DType Vjp::dtype(size_t i) const { return target_spec(node_, node_.flat(i)).dtype; }
const TensorSpec& Vjp::output_spec(size_t i) const { return node_.outputs()[i]; }

}  // namespace tapewire
