#include "core/ops/bound_call.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

struct Parameter {
  std::string_view name;
  bool attribute;
  size_t input;
  std::string_view type;
  bool required;
};

// The op's parameters; the first `positional` of them may be given by position.
struct Signature {
  std::vector<Parameter> parameters;
  size_t positional = 0;
};

Signature signature(const OpDef& op) {
  Signature out;
  std::vector<Parameter>& all = out.parameters;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const InputDecl& in = op.inputs[i];
    all.push_back({in.name, false, i, "tensor", !in.is_optional && !in.is_list});
  }
  for (const AttributeInfo& row : op.attributes()) all.push_back({row.name, true, 0, row.type, row.required});
  out.positional = all.size();
  if (!op.order.empty()) {
    out.positional = op.order.size();
    std::ranges::stable_sort(
        all, {}, [&](const Parameter& p) { return std::ranges::find(op.order, p.name) - op.order.begin(); });
  }
  return out;
}

// How many arguments do not look like what they would be given for.
size_t misfits(const OpDef& op, const Signature& s, std::span<const ArgumentHint> arguments) {
  size_t count = 0;
  for (size_t i = 0; i < std::min(arguments.size(), s.positional); ++i) {
    const bool attribute = s.parameters[i].attribute;
    if (arguments[i] == ArgumentHint::kLiteral && !attribute && !op.inputs[s.parameters[i].input].is_optional) ++count;
    if (arguments[i] == ArgumentHint::kTensor && attribute) ++count;
    if (arguments[i] == ArgumentHint::kUnknown && attribute && s.parameters[i].type != "ints") ++count;
  }
  return count;
}

// PyTorch's order, or the one with the tensors first, as the arguments ask for it.
Signature signature_for(const OpDef& op, std::span<const ArgumentHint> arguments) {
  Signature own = signature(op);
  if (op.order.empty()) return own;
  Signature tensors_first = own;
  std::stable_partition(tensors_first.parameters.begin(),
                        tensors_first.parameters.begin() + static_cast<std::ptrdiff_t>(own.positional),
                        [](const Parameter& p) { return !p.attribute; });
  return misfits(op, tensors_first, arguments) < misfits(op, own, arguments) ? tensors_first : own;
}

Tensor as_tensor(const OpDef& op, const InputDecl& decl, const Value& value) {
  if (value.is_tensor()) return value.tensor();
  if (value.is_number() && !decl.is_tensor) return Tensor::wrapped(value.number());
  if (value.is_none()) return {};
  fail(op.name, ": argument '", decl.name, "': expected a tensor, got ", value.describe());
}

}  // namespace

ArgumentHint hint_of(const Value& value) {
  if (value.is_tensor()) return ArgumentHint::kTensor;
  if (!value.is_tuple()) return ArgumentHint::kLiteral;
  std::vector<Tensor> inside;
  flatten_tensors(value, inside);
  return inside.empty() ? ArgumentHint::kLiteral : ArgumentHint::kTensor;
}

BoundCall::BoundCall(const OpDef& op, bool inplace, std::span<const ArgumentHint> positional,
                     std::span<const std::string> names, std::vector<std::string>& faults)
    : op_(&op), inplace_(inplace) {
  const Signature placed = signature_for(op, positional);
  const std::vector<Parameter>& parameters = placed.parameters;
  std::vector<bool> given(parameters.size());
  const auto place = [&](size_t p, bool spread) {
    given[p] = true;
    slots_.push_back({parameters[p].attribute, parameters[p].input, parameters[p].name, spread});
  };
  for (size_t i = 0; i < positional.size(); ++i) {
    if (i < placed.positional) {
      const Parameter& p = parameters[i];
      const bool last = i + 1 == placed.positional;
      // More values than parameters: a list of ints at the end takes the rest one by one.
      const bool spread = last && p.attribute && p.type == "ints" && positional.size() > placed.positional;
      place(i, spread);
      if (!spread) continue;
      slots_.resize(positional.size(), slots_.back());
      break;
    }
    faults.push_back(
        str_cat(op.name, ": takes ", placed.positional, " positional arguments at most, got ", positional.size()));
    slots_.resize(positional.size());
    break;
  }
  for (const std::string& name : names) {
    const auto found = std::ranges::find(parameters, name, &Parameter::name);
    if (found == parameters.end()) {
      std::vector<std::string_view> known;
      for (const Parameter& p : parameters) known.push_back(p.name);
      faults.push_back(str_cat(op.name, ": unknown argument ", quoted(name), did_you_mean(name, known)));
      slots_.emplace_back();
      continue;
    }
    const auto p = static_cast<size_t>(found - parameters.begin());
    if (given[p]) faults.push_back(str_cat(op.name, ": argument '", name, "' is given twice"));
    place(p, false);
  }
  for (size_t p = 0; p < parameters.size(); ++p) {
    if (parameters[p].required && !given[p]) {
      faults.push_back(str_cat(op.name, ": missing argument '", parameters[p].name, "'"));
    }
  }
}

bool BoundCall::takes(std::string_view attribute) const {
  return std::ranges::any_of(op_->attributes(), [&](const AttributeInfo& row) { return row.name == attribute; });
}

bool BoundCall::given(std::string_view attribute) const {
  return std::ranges::any_of(slots_, [&](const Slot& slot) { return slot.attribute && slot.name == attribute; });
}

AttributeMap BoundCall::gather(std::span<const Value> values, const AttributeMap& extra) const {
  AttributeMap attributes = extra;
  Tuple spread;
  for (size_t i = 0; i < values.size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.attribute) {
      if (op_->call != nullptr) attributes[std::string(slot.name)] = values[i];
    } else if (slot.spread) {
      spread.push_back(values[i]);
      attributes[std::string(slot.name)] = Value(spread);
    } else {
      attributes[std::string(slot.name)] = values[i];
    }
  }
  return attributes;
}

std::shared_ptr<const void> BoundCall::parse(std::span<const Value> values, const AttributeMap& extra,
                                             std::vector<std::string>& faults) const {
  if (op_->call != nullptr) return nullptr;
  std::vector<std::string> own;
  auto attrs = op_->parse(gather(values, extra), own);
  for (const std::string& fault : own) faults.push_back(str_cat(op_->name, ": ", fault));
  return attrs;
}

Value BoundCall::run(std::span<const Value> values, const void* attrs, const AttributeMap& extra) const {
  if (op_->call != nullptr) return op_->call(gather(values, extra));
  absl::InlinedVector<const Value*, 4> by_input(op_->inputs.size(), nullptr);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!slots_[i].attribute) by_input[slots_[i].input] = &values[i];
  }
  Tensors inputs;
  size_t list_size = 0;
  for (size_t i = 0; i < op_->inputs.size(); ++i) {
    const InputDecl& decl = op_->inputs[i];
    const Value none;
    const Value& value = by_input[i] != nullptr ? *by_input[i] : none;
    if (!decl.is_list) {
      inputs.push_back(as_tensor(*op_, decl, value));
    } else if (value.is_tuple()) {
      for (const Value& item : value.tuple()) inputs.push_back(as_tensor(*op_, decl, item));
      list_size = value.tuple().size();
    } else if (!value.is_none()) {
      inputs.push_back(as_tensor(*op_, decl, value));
      list_size = 1;
    }
  }
  Tensors outputs =
      inplace_ ? dispatch_inplace(*op_, attrs, inputs, list_size) : dispatch(*op_, attrs, inputs, list_size);
  // An op with a varying number of results (split) always gives a tuple.
  if (outputs.size() == 1 && !op_->many_outputs) return outputs[0];
  return Tuple(outputs.begin(), outputs.end());
}

Value call_op(std::string_view name, const Args& args) {
  bool inplace = false;
  const OpDef& op = require_op(name, &inplace);
  std::vector<std::string> names;
  std::vector<Value> values(args.positional.begin(), args.positional.end());
  for (const auto& [key, value] : args.named) {
    names.push_back(key);
    values.push_back(value);
  }
  absl::InlinedVector<ArgumentHint, 4> hints;
  for (const Value& value : args.positional) hints.push_back(hint_of(value));
  std::vector<std::string> faults;
  const BoundCall call(op, inplace, hints, names, faults);
  const auto attrs = faults.empty() ? call.parse(values, {}, faults) : nullptr;
  if (!faults.empty()) fail(faults.front());
  return call.run(values, attrs.get());
}

}  // namespace tapewire
