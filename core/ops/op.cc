#include "core/ops/op.h"

#include <algorithm>
#include <cctype>

#include "core/autograd/accumulate_grad.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/limit_error.h"
#include "core/kernels/copy.h"
#include "core/tensor/allocator.h"

namespace tapewire {
namespace {

Spec spec_of(const Tensor& x) { return x.defined() ? Spec{x.dtype(), x.sizes(), true} : Spec{}; }

bool any_requires_grad(std::span<const Tensor> inputs) {
  for (const Tensor& x : inputs) {
    if (x.defined() && x.requires_grad()) return true;
  }
  return false;
}

// Whether a result may be cast to what is written in place: what has a fraction, or more than two values, may not
// lose it.
void check_cast(const OpDef& op, DType result, DType target) {
  if ((is_floating(result) && !is_floating(target)) || (result != DType::kBool && target == DType::kBool)) {
    fail(op.name, "_: result type ", name_of(result), " can't be cast to the desired output type ", name_of(target));
  }
}

// Casts the operands that take part in promotion to their common dtype. Leaves `storage` empty when none has to be.
Inputs promote_operands(const OpDef& op, const void* attrs, Inputs in, Tensors& storage) {
  if (op.check != nullptr) op.check(attrs, in);
  const Promotion promotion = op.promotion_of != nullptr ? op.promotion_of(attrs) : op.promotion;
  if (promotion == Promotion::kNone) return in;
  absl::InlinedVector<Tensor, 4> taking_part;
  bool differ = false;
  bool numbers_only = true;
  DType first{};
  for (size_t i = 0; i < in.all().size(); ++i) {
    const Tensor& x = in.all()[i];
    if (!x.defined() || op.inputs[in.declared(i)].is_fixed) continue;
    if (taking_part.empty()) first = x.dtype();
    differ = differ || x.dtype() != first;
    numbers_only = numbers_only && x.is_wrapped_number();
    taking_part.push_back(x);
  }
  if (taking_part.empty()) return in;
  DType common = differ ? result_type(taking_part) : first;
  if (numbers_only && common == DType::kFloat64) common = DType::kFloat32;
  if (promotion == Promotion::kFloat && !is_floating(common)) common = DType::kFloat32;
  if (!differ && common == first) return in;
  for (size_t i = 0; i < in.all().size(); ++i) {
    const Tensor& x = in.all()[i];
    const bool cast = x.defined() && !op.inputs[in.declared(i)].is_fixed && x.dtype() != common;
    if (cast && x.is_wrapped_number()) {
      const Scalar number = x.item_scalar();
      storage.push_back(
          Tensor::wrapped(op.convert != nullptr ? op.convert(in.declared(i), number, common) : number, common));
    } else {
      storage.push_back(cast ? engine_ops().cast(x, common) : x);
    }
  }
  return Inputs(storage, in.list_at(), in.list_size());
}

void check_operands(const OpDef& op, Inputs in) {
  for (size_t i = 0; i < in.all().size(); ++i) {
    const InputDecl& decl = op.inputs[in.declared(i)];
    if (!in.all()[i].defined() && !decl.is_optional)
      fail(op.name, ": argument '", decl.name, "' must be a tensor, got none");
  }
}

// A view may stand for more elements than ever fit in memory (expand): what walks over those would not end.
void check_extent(const OpDef& op, Inputs in) {
  const auto most = static_cast<size_t>(tensor_allocator().limit());
  for (const Tensor& x : in.all()) {
    if (!x.defined() || x.nbytes() <= most) continue;
    fail_limit("tensor_memory_limit", op.name, ": an operand ", to_string(x.spec()), " stands for ", x.nbytes(),
               " bytes, more than --tensor_memory_limit=", most, " allows");
  }
}

Ref<OpNode> make_node(const OpDef& op, const void* attrs, Inputs in) {
  Ref<OpNode> node = op.make_node(attrs);
  for (const Tensor& x : in.all()) node->add_next_edge(x.defined() ? gradient_edge(x) : Edge{});
  return node;
}

bool has_history(const OpDef& op, Outputs outputs, size_t i) {
  return is_floating(outputs[i].dtype()) && !(i < op.outputs.size() && op.outputs[i].is_no_grad);
}

// Makes the outputs, from the `first` on, results of `node`; those before it are its outputs too, but have another way
// to their history.
void record_outputs(const OpDef& op, const Ref<OpNode>& node, Outputs outputs, size_t first = 0) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const uint32_t number = node->add_output(outputs[i].spec());
    if (i >= first && has_history(op, outputs, i)) set_history(outputs[i], node, number);
  }
}

void check_written_once(const OpDef& op, const Tensor& target) {
  for (size_t i = 0; i < target.sizes().size(); ++i) {
    if (target.sizes()[i] > 1 && target.strides()[i] == 0) {
      fail(op.name,
           "_: unsupported operation: more than one element of the written-to tensor refers to a single memory "
           "location. "
           "Please clone() the tensor before performing the operation.");
    }
  }
}

// Each element at a place of its own, and no gaps between them.
bool is_dense(const Geometry& g) {
  absl::InlinedVector<std::pair<int64_t, int64_t>, 6> dims;
  for (size_t i = 0; i < g.sizes.size(); ++i) {
    if (g.sizes[i] != 1) dims.emplace_back(g.strides[i], g.sizes[i]);
  }
  std::ranges::sort(dims);
  int64_t expected = 1;
  for (const auto& [stride, size] : dims) {
    if (stride != expected) return false;
    expected *= size;
  }
  return true;
}

int64_t last_element(const Geometry& g) {
  int64_t last = g.offset;
  for (size_t i = 0; i < g.sizes.size(); ++i) last += (g.sizes[i] - 1) * g.strides[i];
  return last;
}

// The operands of an in-place call as its kernel may read them while it writes `target`: one that lies partly on it is
// refused where PyTorch does, and copied where PyTorch does not look.
Inputs separate_operands(const OpDef& op, Inputs in, const Tensor& target, Tensors& storage) {
  const auto overlaps = [&](const Tensor& x) {
    if (!x.defined() || x.storage_ref() != target.storage_ref() || x.numel() == 0) return false;
    const Geometry& a = x.geometry();
    const Geometry& b = target.geometry();
    const bool same = a.offset == b.offset && a.sizes == b.sizes && a.strides == b.strides;
    return !same && a.offset <= last_element(b) && b.offset <= last_element(a);
  };
  if (target.numel() == 0 || std::ranges::none_of(in.all(), overlaps)) return in;
  NoGradGuard no_grad;
  for (const Tensor& x : in.all()) {
    const bool copied = overlaps(x);
    if (copied && is_dense(x.geometry()) && is_dense(target.geometry())) {
      fail(op.name,
           "_: unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
           "memory location. Please clone() the tensor before performing the operation.");
    }
    storage.push_back(copied ? engine_ops().clone(x) : x);
  }
  return Inputs(storage, in.list_at(), in.list_size());
}

// Whether an in-place call has to keep what its target held before.
bool saves_target(const OpDef& op, const OpNode& node) {
  return std::ranges::any_of(
      op.saves, [&](const SaveDecl& save) { return !save.is_output && save.index == 0 && node.wants(save); });
}

Tensors dispatch_view(const OpDef& op, const void* attrs, Inputs in) {
  const Tensor& x = in[0];
  Tensors outputs;
  Geometries geometries = op.view(attrs, x);
  for (Geometry& geometry : geometries) outputs.push_back(x.alias(std::move(geometry)));
  const bool record = grad_enabled() && x.requires_grad() && op.make_node != nullptr;
  if (record) record_outputs(op, make_node(op, attrs, in), outputs);
  if (is_floating(x.dtype())) {
    const ViewOrigin origin = op.many_outputs  ? ViewOrigin::kMultiOutput
                              : grad_enabled() ? ViewOrigin::kDefault
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
  if (op.view == nullptr) check_extent(op, in);
  Tensors promoted;
  in = promote_operands(op, attrs, in, promoted);
  if (op.view != nullptr) return dispatch_view(op, attrs, in);

  Tensors outputs;
  for (const TensorSpec& spec : infer(op, attrs, in)) outputs.push_back(Tensor::empty(spec.shape, spec.dtype));
  op.eval(attrs, in, outputs);
  if (op.make_node != nullptr && grad_enabled() && any_requires_grad(in.all())) {
    const Ref<OpNode> node = make_node(op, attrs, in);
    node->save_inputs(in, {});
    record_outputs(op, node, outputs);
    node->save_outputs(outputs);
  }
  outputs.resize(std::min(outputs.size(), op.visible_outputs));
  return outputs;
}

Tensors dispatch_inplace(const OpDef& op, const void* attrs, std::span<const Tensor> inputs, size_t list_size) {
  Inputs in(inputs, op.list_at, list_size);
  check_operands(op, in);
  check_extent(op, in);
  if (!op.inplace) fail_internal(op.name, " has no in-place form");
  const Tensor& target = inputs[0];
  const bool any_grad = grad_enabled() && any_requires_grad(inputs);
  check_inplace(target, str_cat(op.name, "_"), any_grad);
  check_written_once(op, target);
  Tensors promoted;
  in = promote_operands(op, attrs, in, promoted);
  TensorSpecs specs = infer(op, attrs, in);
  if (specs[0].shape != target.sizes()) {
    fail(op.name, "_: output with shape ", to_string(target.sizes()), " doesn't match the broadcast shape ",
         to_string(specs[0].shape));
  }
  check_cast(op, specs[0].dtype, target.dtype());
  // In another dtype it is computed apart, and then cast.
  const bool is_cast = in[0].dtype() != target.dtype() || specs[0].dtype != target.dtype();
  Tensors apart;
  const Inputs operands = is_cast ? in : separate_operands(op, in, target, apart);
  Ref<OpNode> node;
  if (op.make_node != nullptr && any_grad && is_floating(target.dtype())) {
    node = make_node(op, attrs, in);
    node->save_inputs(in, !is_cast && saves_target(op, *node) ? engine_ops().clone(target) : Tensor());
  }
  Tensors outputs{target};
  for (size_t i = 1; i < specs.size(); ++i) outputs.push_back(Tensor::empty(specs[i].shape, specs[i].dtype));
  if (is_cast) {
    outputs[0] = Tensor::empty(specs[0].shape, specs[0].dtype);
    op.eval(attrs, operands, outputs);
    kernels::copy(outputs[0], target);
    outputs[0] = target;
  } else {
    op.eval(attrs, operands, outputs);
  }
  target.storage().bump_version();
  if (node) {
    record_outputs(op, node, outputs, 1);
    rebase_history(target, node);
    node->save_outputs(outputs);
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

void OpNode::save_inputs(Inputs inputs, const Tensor& mutated) {
  list_size_ = inputs.list_size();
  for (const SaveDecl& decl : op_.saves) {
    const auto i = static_cast<size_t>(decl.index);
    for (size_t n = 0; n < count_of(decl); ++n) {
      if (decl.is_output || !wants(decl)) {
        saved_.emplace_back();
      } else {
        saved_.emplace_back(i == 0 && mutated.defined() ? mutated : inputs.all()[flat(i) + n], false);
      }
    }
  }
}

void OpNode::save_outputs(Outputs outputs) {
  size_t at = 0;
  for (const SaveDecl& decl : op_.saves) {
    if (decl.is_output && wants(decl)) {
      // One without a gradient is a constant to vjp, not a result of this node.
      const auto i = static_cast<size_t>(decl.index);
      saved_[at] = SavedTensor(outputs[i], has_history(op_, outputs, i));
    }
    at += count_of(decl);
  }
}

Tensor OpNode::saved(bool is_output, size_t index, size_t list_index) const {
  return entry(is_output, index, list_index).unpack(Ref<Node>::share(const_cast<OpNode*>(this)));
}

const SavedTensor& OpNode::entry(bool is_output, size_t index, size_t list_index) const {
  size_t at = 0;
  for (const SaveDecl& decl : op_.saves) {
    if (decl.is_output == is_output && static_cast<size_t>(decl.index) == index) return saved_[at + list_index];
    at += count_of(decl);
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
bool Vjp::is_number(size_t i) const { return node_.saved_is_number(i); }
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
  if (!node.needs_input(flat))
    fail_internal(node.name(), ": the sizes of an input that needs no gradient are not kept");
  const Edge& edge = node.next_edges()[flat];
  return edge.node->outputs()[edge.input_nr];
}
}  // namespace

const Shape& Vjp::sizes(size_t i) const { return target_spec(node_, node_.flat(i)).shape; }
const Shape& Vjp::list_sizes(size_t n) const { return target_spec(node_, node_.op().list_at + n).shape; }
DType Vjp::dtype(size_t i) const { return target_spec(node_, node_.flat(i)).dtype; }
const TensorSpec& Vjp::output_spec(size_t i) const { return node_.outputs()[i]; }

}  // namespace tapewire
