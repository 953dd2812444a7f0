#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/autograd/engine_ops.h"
#include "core/autograd/saved_tensor.h"
#include "core/tensor/attributes.h"
#include "core/tensor/tensor.h"
#include "core/tensor/views.h"

namespace tapewire {

/// The mechanism of operations. An op is a struct that says all that is known of it (docs/contributing.md shows one):
///
///   struct Softmax {
///     using Attrs = SoftmaxAttrs;                               // described, base/fields.h
///     static constexpr auto name = "softmax";
///     static constexpr auto doc = "exp(x) / sum(exp(x), dim)";
///     static constexpr std::array inputs{input("input")};
///     static constexpr std::array saves{save_output(0)};
///     static TensorSpecs infer(const Attrs&, Specs);            // shape and dtype; throws a clear Error
///     static void eval(const Attrs&, Inputs, Outputs);          // the kernel call
///     static Tensors vjp(const Attrs&, const Vjp&);             // in public ops, so differentiable itself
///   };
///
/// It has exactly one of `eval`, `view` (gives geometries; storage and version counter are shared), `compose` (calls
/// other ops) and `call` (is given its arguments as they are: overloads, and what gives no tensors). Optional:
/// `outputs` (default one, "output"), `saves`, `promotion`, `inplace`, `order`, `random`, for a `call`
/// `differentiable`, and of what comes before promotion
///
///     static void check(const Attrs&, Inputs);                  // operands as they were given; throws
///     static Scalar convert(size_t input, const Scalar&, DType common);  // a number's value in the common dtype
///     static Promotion promotion_of(const Attrs&);              // in place of `promotion`

/// One tensor argument.
struct InputDecl {
  const char* name;
  bool is_optional = false;  // may be none
  bool is_list = false;      // any number of tensors; one such input at most
  bool is_fixed = false;     // takes no part in type promotion
  bool is_tensor = false;    // a number is refused, as PyTorch refuses it there

  constexpr InputDecl fixed() const {
    InputDecl copy = *this;
    copy.is_fixed = true;
    return copy;
  }
  constexpr InputDecl no_number() const {
    InputDecl copy = *this;
    copy.is_tensor = true;
    return copy;
  }
};
constexpr InputDecl input(const char* name) { return {name}; }
constexpr InputDecl optional_input(const char* name) { return {name, true}; }
constexpr InputDecl list_input(const char* name) { return {name, false, true}; }

/// One result. A hidden one is on the tape, differentiable like any other, but not returned; a no_grad one has no
/// gradient.
struct OutputDecl {
  const char* name;
  bool is_hidden = false;
  bool is_no_grad = false;

  constexpr OutputDecl hidden() const {
    OutputDecl copy = *this;
    copy.is_hidden = true;
    return copy;
  }
  constexpr OutputDecl no_grad() const {
    OutputDecl copy = *this;
    copy.is_no_grad = true;
    return copy;
  }
};
constexpr OutputDecl output(const char* name) { return {name}; }

/// What vjp may ask for with Vjp::input and Vjp::output. `.to_grad(i)`: kept only when input i needs a gradient.
struct SaveDecl {
  bool is_output;
  int index;
  int for_input = -1;

  constexpr SaveDecl to_grad(int i) const { return {is_output, index, i}; }
};
constexpr SaveDecl save_input(int index) { return {false, index}; }
constexpr SaveDecl save_output(int index) { return {true, index}; }

/// How operands of different dtypes meet, before infer and eval see them.
enum class Promotion : uint8_t {
  kNone,    // as they come
  kCommon,  // all become torch.result_type of them
  kFloat,   // likewise, and integers become float32
};

/// One operand as infer sees it: no data.
struct Spec {
  DType dtype = DType::kFloat32;
  Ints sizes;
  bool defined = false;

  int64_t dim() const { return static_cast<int64_t>(sizes.size()); }
  int64_t size(size_t i) const { return sizes[i]; }
  int64_t numel() const { return numel_of(sizes); }
  Shape shape() const { return Shape(sizes.begin(), sizes.end()); }
};
inline std::string to_string(const Spec& s) {
  return s.defined ? str_cat(name_of(s.dtype), to_string(s.sizes)) : "none";
}

/// The operands of one call. Index i means the i-th declared input; a list input's tensors are list().
template <class T>
class Operands {
 public:
  static constexpr size_t kNoList = ~size_t{0};

  Operands(std::span<const T> all, size_t list_at = kNoList, size_t list_size = 0)
      : all_(all), list_at_(list_at), list_size_(list_size) {}

  const T& operator[](size_t i) const { return all_[i <= list_at_ ? i : i + list_size_ - 1]; }
  std::span<const T> list() const { return all_.subspan(list_at_, list_size_); }
  std::span<const T> all() const { return all_; }
  size_t list_at() const { return list_at_; }
  size_t list_size() const { return list_size_; }
  /// The declared input that the flat position belongs to.
  size_t declared(size_t flat) const {
    if (flat < list_at_) return flat;
    return flat < list_at_ + list_size_ ? list_at_ : flat - list_size_ + 1;
  }

 private:
  std::span<const T> all_;
  size_t list_at_;
  size_t list_size_;
};
using Inputs = Operands<Tensor>;
using Specs = Operands<Spec>;
using Outputs = std::span<const Tensor>;
using TensorSpecs = absl::InlinedVector<TensorSpec, 2>;
using Geometries = absl::InlinedVector<Geometry, 1>;

class OpNode;

/// What a vjp works with: cotangents of the outputs, and what the op declared to save.
class Vjp {
 public:
  Vjp(const OpNode& node, const Tensors& grads) : node_(node), grads_(grads) {}

  /// The cotangent of output i (hidden ones count); zeros when nothing flowed there.
  Tensor grad(size_t i = 0) const;
  bool has_grad(size_t i) const { return grads_[i].defined(); }
  /// A saved input or output. INTERNAL error when the op did not declare it.
  Tensor input(size_t i) const;
  /// Whether a saved input was a Python number.
  bool is_number(size_t i) const;
  Tensor output(size_t i) const;
  std::vector<Tensor> input_list() const;
  /// Whether input i wants a gradient; return an undefined tensor where it does not.
  bool needs(size_t i) const;
  /// Of the n-th tensor of a list input.
  bool needs_list(size_t n) const;
  size_t list_size() const;
  /// The sizes of an input that needs a gradient, without saving it.
  const Shape& sizes(size_t i) const;
  const Shape& list_sizes(size_t n) const;
  DType dtype(size_t i) const;
  /// The spec of output i (hidden ones count).
  const TensorSpec& output_spec(size_t i) const;

 private:
  const OpNode& node_;
  const Tensors& grads_;
};

/// All that is known of an op, with its attribute struct erased. Built once from the op's struct.
struct OpDef {
  std::string_view name;
  std::string_view doc;
  std::span<const InputDecl> inputs;
  std::span<const OutputDecl> outputs;
  std::span<const SaveDecl> saves;
  // What may be given by position, in PyTorch's order; the rest by name alone. Empty: inputs, then attributes.
  std::span<const std::string_view> order;
  size_t list_at = Inputs::kNoList;
  size_t visible_outputs = 1;
  Promotion promotion = Promotion::kNone;
  bool inplace = false;  // name_ exists
  bool random = false;
  bool differentiable = false;
  bool many_outputs = false;  // as many as the arguments say (split): always a tuple

  Promotion (*promotion_of)(const void* attrs) = nullptr;  // none: `promotion`, whatever the attributes
  void (*check)(const void* attrs, Inputs) = nullptr;
  Scalar (*convert)(size_t input, const Scalar& number, DType common) = nullptr;
  TensorSpecs (*infer)(const void* attrs, Specs) = nullptr;
  void (*eval)(const void* attrs, Inputs, Outputs) = nullptr;
  Geometries (*view)(const void* attrs, const Tensor& x) = nullptr;
  Tensors (*compose)(const void* attrs, Inputs) = nullptr;
  Ref<OpNode> (*make_node)(const void* attrs) = nullptr;
  /// Adds one line a fault.
  std::shared_ptr<const void> (*parse)(const AttributeMap&, std::vector<std::string>& faults) = nullptr;
  std::vector<AttributeInfo> (*attributes)() = nullptr;
  /// For what is no computation on tensors ("size", "getitem"): called with the bound arguments as they are.
  Value (*call)(const AttributeMap&) = nullptr;
};

/// The tape's record of one op. Saved tensors and attributes lie in the node itself.
class OpNode : public Node {
 public:
  explicit OpNode(const OpDef& op) : op_(op) {}

  std::string name() const override;
  void release_saved() override;
  void visit_saved(const std::function<void(const Storage&)>& visit) const override;

  const OpDef& op() const { return op_; }
  /// Keeps what the op declares of its inputs, before they may change. `mutated`: stands for input 0, which an in-place
  /// call changes; undefined otherwise.
  void save_inputs(Inputs inputs, const Tensor& mutated);
  /// The same of its outputs, once they are computed. REQUIRES: save_inputs came first.
  void save_outputs(Outputs outputs);
  Tensor saved(bool is_output, size_t index, size_t list_index = 0) const;
  bool saved_is_number(size_t input) const { return entry(false, input).is_number(); }
  size_t list_size() const { return list_size_; }
  size_t flat(size_t declared) const { return declared <= op_.list_at ? declared : declared + list_size_ - 1; }
  /// Whether what is declared is to be kept: some is only needed for certain inputs' gradients.
  bool wants(const SaveDecl& decl) const {
    return decl.for_input < 0 || needs_input(flat(static_cast<size_t>(decl.for_input)));
  }

 private:
  const OpDef& op_;
  const SavedTensor& entry(bool is_output, size_t index, size_t list_index = 0) const;
  // How many tensors one declaration stands for.
  size_t count_of(const SaveDecl& decl) const {
    return !decl.is_output && static_cast<size_t>(decl.index) == op_.list_at ? list_size_ : 1;
  }

  size_t list_size_ = 0;
  absl::InlinedVector<SavedTensor, 2> saved_;  // in the order of the declarations
};

/// Runs an op: promotes, infers, allocates, computes, records. `inputs` are flat; `list_size` of them belong to the
/// list input, if there is one. Gives the visible outputs.
Tensors dispatch(const OpDef& op, const void* attrs, std::span<const Tensor> inputs, size_t list_size = 0);
/// The same in place: output 0 is inputs[0], changed.
Tensors dispatch_inplace(const OpDef& op, const void* attrs, std::span<const Tensor> inputs, size_t list_size = 0);

/// torch.result_type of the operands: of equal category, tensors with dimensions go before 0-d ones, those before
/// Python numbers.
DType result_type(std::span<const Tensor> inputs);

/// The struct's OpDef.
template <class Op>
const OpDef& op_def();

/// Calls an op from C++: `apply<Mul>({}, {a, b})`.
template <class Op>
Tensor apply(const typename Op::Attrs& attrs, std::initializer_list<Tensor> inputs) {
  return std::move(dispatch(op_def<Op>(), &attrs, std::span(inputs.begin(), inputs.size()))[0]);
}
/// The same for ops with several outputs.
template <class Op>
Tensors apply_all(const typename Op::Attrs& attrs, std::initializer_list<Tensor> inputs) {
  return dispatch(op_def<Op>(), &attrs, std::span(inputs.begin(), inputs.size()));
}
/// For ops with a list: its tensors stand in `inputs` where the list is declared.
template <class Op>
Tensors apply_list(const typename Op::Attrs& attrs, std::span<const Tensor> inputs, size_t list_size) {
  return dispatch(op_def<Op>(), &attrs, inputs, list_size);
}
template <class Op>
Tensor apply_inplace(const typename Op::Attrs& attrs, std::initializer_list<Tensor> inputs) {
  return std::move(dispatch_inplace(op_def<Op>(), &attrs, std::span(inputs.begin(), inputs.size()))[0]);
}

// How op_def reads a struct ------------------------------------------------------------------------------------------

template <class Op>
concept Evaluated = requires(const typename Op::Attrs& a, Inputs in, Outputs out, Specs specs) {
  { Op::infer(a, specs) } -> std::same_as<TensorSpecs>;
  Op::eval(a, in, out);
};
template <class Op>
concept Viewed = requires(const typename Op::Attrs& a, const Tensor& x) { Op::view(a, x); };
template <class Op>
concept Composed = requires(const typename Op::Attrs& a, Inputs in) { Op::compose(a, in); };
template <class Op>
concept Called = requires(const AttributeMap& arguments) {
  { Op::call(arguments) } -> std::same_as<Value>;
};
template <class Op>
concept HasVjp = requires(const typename Op::Attrs& a, const Vjp& v) {
  { Op::vjp(a, v) } -> std::same_as<Tensors>;
};
/// An op's struct: a name, a doc, described attributes, named inputs, and exactly one way to compute.
template <class Op>
concept OpStruct = Described<typename Op::Attrs> &&
                   requires {
                     { Op::name } -> std::convertible_to<std::string_view>;
                     { Op::doc } -> std::convertible_to<std::string_view>;
                     Op::inputs.size();
                   } && (int{Evaluated<Op>} + int{Viewed<Op>} + int{Composed<Op>} + int{Called<Op>} == 1) &&
                   !(HasVjp<Op> && (Composed<Op> || Called<Op>));

template <OpStruct Op>
class OpNodeOf final : public OpNode {
 public:
  explicit OpNodeOf(const typename Op::Attrs& attrs) : OpNode(op_def<Op>()), attrs_(attrs) {}
  Tensors apply(Tensors grads) override {
    bool any = false;
    for (const Tensor& grad : grads) any = any || grad.defined();
    if (!any) return Tensors(next_edges().size());
    return Op::vjp(attrs_, Vjp(*this, grads));
  }

 private:
  typename Op::Attrs attrs_;
};

template <OpStruct Op>
OpDef make_op_def() {
  using Attrs = typename Op::Attrs;
  OpDef def;
  def.name = Op::name;
  def.doc = Op::doc;
  def.inputs = Op::inputs;
  for (size_t i = 0; i < def.inputs.size(); ++i) {
    if (def.inputs[i].is_list) def.list_at = i;
  }
  if constexpr (requires { Op::outputs.size(); }) {
    def.outputs = Op::outputs;
  } else {
    static constexpr std::array kOneOutput{output("output")};
    def.outputs = kOneOutput;
  }
  def.visible_outputs = 0;
  for (const OutputDecl& out : def.outputs) def.visible_outputs += out.is_hidden ? 0 : 1;
  if constexpr (requires { Op::saves.size(); }) def.saves = Op::saves;
  if constexpr (requires { Op::order.size(); }) def.order = Op::order;
  if constexpr (requires { Op::promotion; }) def.promotion = Op::promotion;
  if constexpr (requires(const Attrs& a) { Op::promotion_of(a); }) {
    def.promotion_of = [](const void* a) { return Op::promotion_of(*static_cast<const Attrs*>(a)); };
  }
  if constexpr (requires(const Attrs& a, Inputs in) { Op::check(a, in); }) {
    def.check = [](const void* a, Inputs in) { Op::check(*static_cast<const Attrs*>(a), in); };
  }
  if constexpr (requires { Op::convert; }) def.convert = &Op::convert;
  if constexpr (requires { Op::inplace; }) def.inplace = Op::inplace;
  if constexpr (requires { Op::random; }) def.random = Op::random;
  def.differentiable = HasVjp<Op> || Composed<Op>;
  if constexpr (requires { Op::differentiable; }) def.differentiable = Op::differentiable;
  if constexpr (Evaluated<Op>) {
    def.infer = [](const void* a, Specs in) { return Op::infer(*static_cast<const Attrs*>(a), in); };
    def.eval = [](const void* a, Inputs in, Outputs out) { Op::eval(*static_cast<const Attrs*>(a), in, out); };
  } else if constexpr (Viewed<Op>) {
    def.many_outputs =
        std::same_as<decltype(Op::view(std::declval<const Attrs&>(), std::declval<const Tensor&>())), Geometries>;
    def.view = [](const void* a, const Tensor& x) { return Geometries{Op::view(*static_cast<const Attrs*>(a), x)}; };
  } else if constexpr (Composed<Op>) {
    def.many_outputs =
        def.outputs.size() == 1 &&
        std::same_as<decltype(Op::compose(std::declval<const Attrs&>(), std::declval<Inputs>())), Tensors>;
    def.compose = [](const void* a, Inputs in) { return Tensors{Op::compose(*static_cast<const Attrs*>(a), in)}; };
  } else {
    def.call = [](const AttributeMap& arguments) { return Op::call(arguments); };
  }
  if constexpr (HasVjp<Op>) {
    def.make_node = [](const void* a) -> Ref<OpNode> { return make_ref<OpNodeOf<Op>>(*static_cast<const Attrs*>(a)); };
  }
  def.parse = [](const AttributeMap& values, std::vector<std::string>& faults) -> std::shared_ptr<const void> {
    auto attrs = std::make_shared<Attrs>();
    parse_attributes(values, *attrs, faults);
    return attrs;
  };
  def.attributes = &attribute_infos<Attrs>;
  return def;
}

template <class Op>
const OpDef& op_def() {
  static const OpDef def = make_op_def<Op>();
  return def;
}

}  // namespace tapewire
