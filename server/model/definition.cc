#include "server/model/definition.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "server/codec/tensor_codec.h"

namespace tapewire {
namespace {

constexpr int kMaxArgumentDepth = 32;  // lists in lists; as the contract has it
constexpr int64_t kCancelEvery = 256;  // calls and arguments between two looks at the cancel token

class GraphReader {
 public:
  GraphReader(const DefinitionLimits& limits, Faults& faults) : limits_(limits), faults_(faults) {}

  GraphDef read(const v1::Graph& graph, const FieldPath& path) {
    GraphDef out;
    for (int i = 0; i < graph.inputs_size(); ++i) {
      const v1::GraphInput& in = graph.inputs(i);
      Value value;
      if (in.has_default_value())
        value = to_value(in.default_value(), limits_, path.item(".inputs", i).field(".default_value"), faults_);
      out.inputs.push_back({in.name(), in.optional() || in.has_default_value(), std::move(value)});
    }
    out.calls.reserve(static_cast<size_t>(graph.calls_size()));
    for (int i = 0; i < graph.calls_size() && !faults_.full(); ++i) {
      out.calls.push_back(call(graph.calls(i), path.item(".calls", i)));
    }
    out.outputs.assign(graph.outputs().begin(), graph.outputs().end());
    return out;
  }

 private:
  CallDef call(const v1::Call& call, const FieldPath& path) {
    CallDef out;
    count();
    switch (call.target_case()) {
      case v1::Call::kModule:
        out.target = CallDef::Target::kModule;
        out.name = call.module();
        break;
      case v1::Call::kOp:
        out.name = call.op();
        break;
      case v1::Call::kFunction:
        faults_.add(str_cat(path.str(), ".function: custom Functions are not served by this version"));
        break;
      case v1::Call::TARGET_NOT_SET:
        faults_.add(str_cat(path.str(), ": names no module, op or function"));
        break;
    }
    for (int i = 0; i < call.args_size() && !faults_.full(); ++i) {
      out.args.push_back(argument(call.args(i), path.item(".args", i), 0));
    }
    // Maps have no order on the wire; the names' order makes messages and results the same every time.
    for (const auto& [name, value] : call.kwargs()) {
      out.kwargs.emplace_back(name, argument(value, path.key(".kwargs", name), 0));
    }
    std::ranges::sort(out.kwargs, {}, &std::pair<std::string, ArgumentDef>::first);
    out.results.assign(call.results().begin(), call.results().end());
    if (call.has_when()) out.when = condition(call.when(), path.field(".when"));
    return out;
  }

  ConditionDef condition(const v1::Condition& when, const FieldPath& path) {
    ConditionDef out;
    switch (when.kind_case()) {
      case v1::Condition::kPresent:
        out.present = when.present();
        break;
      case v1::Condition::kTraining:
        out.training = when.training();
        break;
      case v1::Condition::kNeedsInputGrad:
        faults_.add(str_cat(path.str(), ".needs_input_grad: only the backward graph of a custom Function has it"));
        break;
      case v1::Condition::KIND_NOT_SET:
        faults_.add(str_cat(path.str(), ": names no condition"));
        break;
    }
    return out;
  }

  ArgumentDef argument(const v1::Argument& argument, const FieldPath& path, int depth) {
    count();
    if (depth > kMaxArgumentDepth) {
      faults_.add(str_cat(path.str(), ": nested deeper than ", kMaxArgumentDepth, " levels"));
      return {};
    }
    switch (argument.kind_case()) {
      case v1::Argument::kRef:
        return {ArgumentDef::Ref{argument.ref()}};
      case v1::Argument::kLiteral:
        return {to_value(argument.literal(), limits_, path, faults_)};
      case v1::Argument::kSymbol:
        if (argument.symbol() == v1::SYMBOL_TRAINING) return {ArgumentDef::Training{}};
        if (argument.symbol() != v1::SYMBOL_NONE)
          faults_.add(str_cat(path.str(), ".symbol: unknown symbol ", argument.symbol()));
        return {};
      case v1::Argument::kList: {
        std::vector<ArgumentDef> items;
        for (int i = 0; i < argument.list().items_size() && !faults_.full(); ++i) {
          items.push_back(this->argument(argument.list().items(i), path.item("", i), depth + 1));
        }
        return {std::move(items)};
      }
      case v1::Argument::kSlice: {
        const v1::Slice& slice = argument.slice();
        const auto part = [&](bool present, const v1::Argument& a, const char* name) {
          return present ? this->argument(a, path.field(".slice.").field(name), depth + 1) : ArgumentDef{};
        };
        SliceDef out;
        out.parts.push_back(part(slice.has_start(), slice.start(), "start"));
        out.parts.push_back(part(slice.has_stop(), slice.stop(), "stop"));
        out.parts.push_back(part(slice.has_step(), slice.step(), "step"));
        return {std::move(out)};
      }
      case v1::Argument::KIND_NOT_SET:
        break;
    }
    faults_.add(str_cat(path.str(), ": an argument must be a ref, a literal, a list, a slice or a symbol"));
    return {};
  }

  void count() {
    if (++read_ % kCancelEvery == 0) check_cancelled();
  }

  const DefinitionLimits& limits_;
  Faults& faults_;
  int64_t read_ = 0;
};

Value to_list(const v1::LiteralList& list, const DefinitionLimits& limits, const FieldPath& path, Faults& faults) {
  Tuple items;
  for (int i = 0; i < list.items_size() && !faults.full(); ++i) {
    const FieldPath at = path.item("", i);
    if (list.items(i).has_list()) {
      faults.add(str_cat(at.str(), ": a list within a list"));
      break;
    }
    items.push_back(to_value(list.items(i), limits, at, faults));
  }
  return Value::list(std::move(items));
}

}  // namespace

DType dtype_of(v1::DataType type, const FieldPath& path, Faults& faults) {
  switch (type) {
    case v1::DATA_TYPE_FLOAT32:
      return DType::kFloat32;
    case v1::DATA_TYPE_FLOAT64:
      return DType::kFloat64;
    case v1::DATA_TYPE_INT64:
      return DType::kInt64;
    case v1::DATA_TYPE_INT32:
      return DType::kInt32;
    case v1::DATA_TYPE_UINT8:
      return DType::kUInt8;
    case v1::DATA_TYPE_BOOL:
      return DType::kBool;
    case v1::DATA_TYPE_FLOAT16:
    case v1::DATA_TYPE_BFLOAT16:
      faults.add(str_cat(path.str(), ": ", v1::DataType_Name(type), " exists on the wire only; ask for float32"));
      break;
    default:
      faults.add(str_cat(path.str(), ": no dtype given, or an unknown one (", static_cast<int>(type), ")"));
  }
  return DType::kFloat32;
}

Value to_value(const v1::Literal& literal, const DefinitionLimits& limits, const FieldPath& path, Faults& faults) {
  switch (literal.kind_case()) {
    case v1::Literal::kBoolValue:
      return literal.bool_value();
    case v1::Literal::kIntValue:
      return static_cast<int64_t>(literal.int_value());
    case v1::Literal::kDoubleValue:
      return literal.double_value();
    case v1::Literal::kStringValue:
      return literal.string_value();
    case v1::Literal::kInts:
      return Value::list(Tuple(literal.ints().values().begin(), literal.ints().values().end()));
    case v1::Literal::kDoubles:
      return Value::list(Tuple(literal.doubles().values().begin(), literal.doubles().values().end()));
    case v1::Literal::kDtype:
      return dtype_of(literal.dtype(), path, faults);
    case v1::Literal::kTensor:
      try {
        return codec::decode_tensor(v1::Tensor(literal.tensor()), path.str(), {limits.max_tensor_bytes});
      } catch (const Error& error) {
        faults.add(error.message());
        return {};
      }
    case v1::Literal::kSymbol:
      if (literal.symbol() != v1::SYMBOL_NONE)
        faults.add(str_cat(path.str(), ".symbol: the only one that is a constant is SYMBOL_NONE"));
      return {};
    case v1::Literal::kList:
      return to_list(literal.list(), limits, path, faults);
    case v1::Literal::KIND_NOT_SET:
      break;
  }
  faults.add(str_cat(path.str(), ": a literal without a value"));
  return {};
}

AttributeMap to_attributes(const google::protobuf::Map<std::string, v1::Literal>& attributes,
                           const DefinitionLimits& limits, const FieldPath& path, Faults& faults) {
  AttributeMap out;
  for (const auto& [name, literal] : attributes) {
    out[name] = to_value(literal, limits, path.named(": attribute ", name), faults);
  }
  return out;
}

GraphDef to_graph(const v1::Graph& graph, const DefinitionLimits& limits, const FieldPath& path, Faults& faults) {
  return GraphReader(limits, faults).read(graph, path);
}

v1::Literal to_literal(const Value& value) {
  v1::Literal out;
  if (value.is_bool()) out.set_bool_value(value.boolean());
  if (value.is_int()) out.set_int_value(value.integer());
  if (value.is_double()) out.set_double_value(value.real());
  if (value.is_string()) out.set_string_value(value.string());
  if (value.is_dtype()) out.set_dtype(codec::encode_dtype(value.dtype()));
  if (value.is_tuple()) {
    const bool ints = std::ranges::all_of(value.tuple(), [](const Value& v) { return v.is_int(); });
    for (const Value& item : value.tuple()) {
      if (ints) {
        out.mutable_ints()->add_values(item.integer());
      } else if (item.is_number()) {
        out.mutable_doubles()->add_values(item.real());
      }
    }
    if (value.tuple().empty()) out.mutable_ints();
  }
  return out;
}

}  // namespace tapewire
