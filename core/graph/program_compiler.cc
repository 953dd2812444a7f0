// Makes a Program of a GraphDef.

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>

#include "core/base/cancel.h"
#include "core/base/field_path.h"
#include "core/base/limit_error.h"
#include "core/base/suggest.h"
#include "core/graph/graph_module.h"
#include "core/graph/packed_program.h"
#include "core/ops/registry.h"

namespace tapewire {
namespace {

// What a call gives, as far as it is known before it runs.
struct Outcome {
  std::optional<size_t> count;  // of results
  enum class Kind : uint8_t { kUnknown, kTensor, kTuple } kind = Kind::kUnknown;
};

constexpr Outcome kOneTensor{1, Outcome::Kind::kTensor};
Outcome several(size_t count) { return {count, Outcome::Kind::kTuple}; }

std::string counted(size_t count, std::string_view noun) { return str_cat(count, " ", noun, count == 1 ? "" : "s"); }

}  // namespace

// An argument of the call that is being compiled.
struct Program::Operand {
  OperandKind kind = OperandKind::kConstant;
  size_t slot = 0;
  Value constant;
  std::vector<Operand> items;
};

// The call that is being compiled.
struct Program::Step {
  std::optional<uint32_t> module;  // among those that the graph calls
  std::shared_ptr<const BoundCall> op;
  // Attributes parsed beforehand where they are all literals: [0] in eval mode, [1] in training.
  std::shared_ptr<const void> attrs[2];
  bool takes_mode = false;
  std::vector<Operand> operands;
  size_t positional = 0;
  std::vector<std::string> names;
  std::vector<size_t> results;
  std::optional<size_t> present;
  std::optional<bool> training;
  std::string where;
};

// Puts compiled calls where they stay.
class Program::Packer {
 public:
  explicit Packer(Packed& packed) : packed_(packed) {}

  void add(Step&& step) {
    Packed::Call call;
    if (step.module) call.module = *step.module;
    if (step.op) {
      const auto [found, fresh] = ops_.try_emplace(step.op.get(), static_cast<uint32_t>(packed_.ops.size()));
      call.op = found->second;
      if (fresh) packed_.ops.push_back(std::move(step.op));
    }
    if (step.attrs[0]) {
      const auto [found, fresh] = attrs_.try_emplace(step.attrs[0].get(), static_cast<uint32_t>(packed_.attrs.size()));
      call.attrs = found->second;
      if (fresh) packed_.attrs.push_back(std::move(step.attrs[0]));
      if (fresh && step.takes_mode) packed_.attrs.push_back(std::move(step.attrs[1]));
    }
    if (!step.names.empty()) {
      const auto [found, fresh] = names_.try_emplace(step.names, static_cast<uint32_t>(packed_.names.size()));
      call.names = found->second;
      if (fresh) packed_.names.push_back(std::move(step.names));
    }
    if (step.present) call.present = static_cast<uint32_t>(*step.present);
    if (step.training) call.when = *step.training ? Packed::When::kTraining : Packed::When::kEval;
    call.arguments = add_arguments(step.operands);
    call.results = add_slots(step.results);
    call.positional = static_cast<uint32_t>(step.positional);
    call.takes_mode = step.takes_mode;
    packed_.calls.push_back(call);
  }

  /// A value is let go by the call that reads it last, unless it is a parameter or an output.
  void find_last_uses() {
    std::vector<uint32_t> last(packed_.slots, Packed::kNone);
    for (uint32_t i = 0; i < packed_.calls.size(); ++i) {
      mark(packed_.calls[i].arguments, i, last);
      if (packed_.calls[i].present != Packed::kNone) last[packed_.calls[i].present] = i;
      // What nobody reads is let go at once; a later reader moves this.
      for (const uint32_t slot : slots_of(packed_.calls[i].results)) last[slot] = i;
    }
    const size_t first = packed_.inputs.size();
    std::fill_n(last.begin() + static_cast<std::ptrdiff_t>(first), packed_.constant_names.size(), Packed::kNone);
    for (const uint32_t output : packed_.outputs) last[output] = Packed::kNone;
    // Counted first, so that each call's stand together.
    for (const uint32_t call : last) {
      if (call != Packed::kNone) ++packed_.calls[call].last_uses.count;
    }
    auto begin = static_cast<uint32_t>(packed_.slot_lists.size());
    for (Packed::Call& call : packed_.calls) {
      call.last_uses.begin = begin;
      begin += std::exchange(call.last_uses.count, 0);
    }
    packed_.slot_lists.resize(begin);
    for (uint32_t slot = 0; slot < last.size(); ++slot) {
      if (last[slot] == Packed::kNone) continue;
      Packed::Range& uses = packed_.calls[last[slot]].last_uses;
      packed_.slot_lists[uses.begin + uses.count++] = slot;
    }
  }

  void shrink() {
    packed_.calls.shrink_to_fit();
    packed_.arguments.shrink_to_fit();
    packed_.lists.shrink_to_fit();
    packed_.slot_lists.shrink_to_fit();
    packed_.constants.shrink_to_fit();
    packed_.attrs.shrink_to_fit();
  }

 private:
  std::span<const uint32_t> slots_of(const Packed::Range& range) const {
    return std::span(packed_.slot_lists).subspan(range.begin, range.count);
  }

  Packed::Range add_slots(const std::vector<size_t>& slots) {
    const Packed::Range range{static_cast<uint32_t>(packed_.slot_lists.size()), static_cast<uint32_t>(slots.size())};
    for (const size_t slot : slots) packed_.slot_lists.push_back(static_cast<uint32_t>(slot));
    return range;
  }

  Packed::Range add_arguments(std::vector<Operand>& operands) {
    const Packed::Range range{static_cast<uint32_t>(packed_.arguments.size()), static_cast<uint32_t>(operands.size())};
    packed_.arguments.resize(packed_.arguments.size() + operands.size());
    for (size_t i = 0; i < operands.size(); ++i) {
      const Packed::Argument packed = add_argument(operands[i]);
      packed_.arguments[range.begin + i] = packed;
    }
    return range;
  }

  Packed::Argument add_argument(Operand& operand) {
    switch (operand.kind) {
      case OperandKind::kConstant:
        packed_.constants.push_back(std::move(operand.constant));
        return {operand.kind, static_cast<uint32_t>(packed_.constants.size() - 1)};
      case OperandKind::kSlot:
        return {operand.kind, static_cast<uint32_t>(operand.slot)};
      case OperandKind::kTraining:
        return {operand.kind, 0};
      case OperandKind::kList:
      case OperandKind::kSlice: {
        const Packed::Range items = add_arguments(operand.items);
        packed_.lists.push_back(items);
        return {operand.kind, static_cast<uint32_t>(packed_.lists.size() - 1)};
      }
    }
    fail_internal("no such operand");
  }

  void mark(const Packed::Range& arguments, uint32_t call, std::vector<uint32_t>& last) const {
    for (uint32_t i = arguments.begin; i < arguments.begin + arguments.count; ++i) {
      const Packed::Argument& argument = packed_.arguments[i];
      if (argument.kind == OperandKind::kSlot) last[argument.index] = call;
      if (argument.kind == OperandKind::kList || argument.kind == OperandKind::kSlice) {
        mark(packed_.lists[argument.index], call, last);
      }
    }
  }

  Packed& packed_;
  // Where what calls share stands. Packed keeps it, so that no address comes twice.
  std::map<const BoundCall*, uint32_t> ops_;
  std::map<const void*, uint32_t> attrs_;
  std::map<std::vector<std::string>, uint32_t> names_;
};

// Turns names into slots and checks everything that can be checked without tensors.
class Program::Compiler {
 public:
  Compiler(Program& program, Packed& packed, Module* owner, std::vector<std::string>& faults)
      : program_(program), packed_(packed), packer_(packed), owner_(owner), faults_(faults) {}

  // Stops once there are kMostFaults: whoever sent the graph mends those first.
  void compile(const GraphDef& def) {
    for (size_t i = 0; i < def.inputs.size() && !full(); ++i) {
      bind(def.inputs[i].name, FieldPath("inputs").item("", number(i)));
      packed_.inputs.push_back(def.inputs[i]);
    }
    if (owner_ != nullptr) {
      for (const NamedTensor& p : owner_->own_parameters()) bind_tensor(p.name, p.tensor);
      for (const Module::Buffer& b : owner_->own_buffers()) bind_tensor(b.name, b.tensor);
    }
    for (size_t i = 0; i < def.calls.size() && !full(); ++i) {
      check_cancelled();
      add_call(def.calls[i], str_cat("calls[", i, "]"));
    }
    if (def.outputs.empty()) add_fault("outputs", ": a graph needs at least one output");
    for (size_t i = 0; i < def.outputs.size() && !full(); ++i) {
      const size_t slot = look_up(def.outputs[i], FieldPath("outputs").item("", number(i)));
      packed_.outputs.push_back(static_cast<uint32_t>(slot));
    }
    if (faults_.size() > before_) return;
    packer_.find_last_uses();
    packer_.shrink();
  }

 private:
  static constexpr size_t kMostFaults = 100;
  static constexpr size_t kMostSuggestions = 10;   // faults that come with one
  static constexpr size_t kMostCandidates = 1000;  // names that are looked through for it
  static constexpr size_t kCancelEvery = 256;

  static int64_t number(size_t i) { return static_cast<int64_t>(i); }

  bool full() const { return faults_.size() >= before_ + kMostFaults; }
  template <class... Parts>
  void add_fault(const FieldPath& where, const Parts&... parts) {
    if (!full()) faults_.push_back(str_cat(where.str(), parts...));
  }

  size_t bind(const std::string& name, const FieldPath& where) {
    const size_t slot = packed_.slots++;
    if (name.empty()) {
      add_fault(where, ": a name must not be empty");
    } else if (!slots_.emplace(name, slot).second) {
      add_fault(where, ": name ", quoted(name), " is bound twice");
    }
    return slot;
  }
  void bind_tensor(const std::string& name, const Tensor& tensor) {
    const size_t slot = bind(name, FieldPath("").named("name ", name));
    if (tensor.defined()) note_kind(slot, Outcome::Kind::kTensor);
    packed_.constant_names.push_back(name);
    program_.constants_.push_back(tensor);
  }

  size_t drop() { return packed_.slots++; }

  size_t look_up(const std::string& name, const FieldPath& where) {
    if (const auto found = slots_.find(name); found != slots_.end()) return found->second;
    if (full()) return 0;
    add_fault(where, ": unknown name ", quoted(name), suggestion(name, slots_));
    return 0;
  }

  // By the first names of the map, for the first faults: a look through all for each would take their product.
  template <class Names>
  std::string suggestion(const std::string& name, const Names& names) {
    if (++suggestions_ > kMostSuggestions) return "";
    std::vector<std::string_view> known;
    for (auto at = names.begin(); at != names.end() && known.size() < kMostCandidates; ++at) known.push_back(at->first);
    return did_you_mean(name, known);
  }

  Operand operand(const ArgumentDef& def, const FieldPath& where) {
    Operand out;
    if (const auto* literal = std::get_if<Value>(&def.kind)) {
      out.constant = *literal;
    } else if (const auto* ref = std::get_if<ArgumentDef::Ref>(&def.kind)) {
      out.kind = OperandKind::kSlot;
      out.slot = look_up(ref->name, where);
    } else if (std::holds_alternative<ArgumentDef::Training>(def.kind)) {
      out.kind = OperandKind::kTraining;
    } else {
      const auto* slice = std::get_if<SliceDef>(&def.kind);
      const auto& parts = slice != nullptr ? slice->parts : std::get<std::vector<ArgumentDef>>(def.kind);
      out.kind = slice != nullptr ? OperandKind::kSlice : OperandKind::kList;
      bool constant = true;
      for (size_t i = 0; i < parts.size(); ++i) {
        if (i % kCancelEvery == kCancelEvery - 1) check_cancelled();
        out.items.push_back(operand(parts[i], where.item(slice != nullptr ? ".slice" : "", number(i))));
        constant = constant && out.items.back().kind == OperandKind::kConstant;
      }
      if (constant) {
        try {
          out.constant = evaluate(out);
          out.kind = OperandKind::kConstant;
          out.items.clear();
        } catch (const Error& error) {
          add_fault(where, ": ", error.message());
        }
      }
    }
    return out;
  }

  void add_call(const CallDef& def, const std::string& where) {
    const FieldPath at(where);
    Step step;
    step.where = where;
    step.positional = def.args.size();
    for (size_t i = 0; i < def.args.size(); ++i) {
      step.operands.push_back(operand(def.args[i], at.item(".args", number(i))));
    }
    for (const auto& [name, argument] : def.kwargs) {
      step.names.push_back(name);
      step.operands.push_back(operand(argument, at.key(".kwargs", name)));
    }
    if (def.when) {
      if (def.when->present) step.present = look_up(*def.when->present, at.field(".when"));
      step.training = def.when->training;
    }
    if (def.target == CallDef::Target::kModule) {
      bind_module(def, step);
    } else {
      bind_op(def, step);
    }
    for (const std::string& name : def.results) {
      // An empty name drops its result.
      step.results.push_back(name.empty() ? drop() : bind(name, at.field(".results")));
    }
    note_results(def, step);
    packer_.add(std::move(step));
  }

  void bind_module(const CallDef& def, Step& step) {
    Module* module = find_module(def.name);
    if (module == nullptr || module == owner_) {  // a graph does not call itself
      const bool owned = owner_ != nullptr && !full();
      add_fault(step.where, ": unknown module ", quoted(def.name),
                owned ? suggestion(def.name, children_of(*owner_)) : std::string());
      return;
    }
    const auto [found, fresh] = modules_.try_emplace(module, static_cast<uint32_t>(modules_.size()));
    step.module = found->second;
    if (fresh) {
      program_.modules_.push_back(module);
      packed_.module_paths.push_back(def.name);
    }
    check_module_arguments(*module, def, step);
  }

  // As Module::find, by tables: a graph may call each of many children.
  using Children = std::map<std::string_view, Module*>;
  const Children& children_of(const Module& module) {
    const auto [found, added] = children_.try_emplace(&module);
    if (added) {
      for (const NamedModule& child : module.children()) found->second.emplace(child.name, child.module.get());
    }
    return found->second;
  }
  Module* find_module(std::string_view path) {
    if (owner_ == nullptr || path.empty()) return owner_;
    Module* at = owner_;
    while (true) {
      const size_t dot = path.find('.');
      const Children& children = children_of(*at);
      const auto found = children.find(path.substr(0, dot));
      if (found == children.end()) return nullptr;
      at = found->second;
      if (dot == std::string_view::npos) return at;
      path.remove_prefix(dot + 1);
    }
  }

  void note_kind(size_t slot, Outcome::Kind kind) {
    kinds_.resize(std::max(kinds_.size(), slot + 1), Outcome::Kind::kUnknown);
    kinds_[slot] = kind;
  }
  Outcome::Kind kind_of(size_t slot) const { return slot < kinds_.size() ? kinds_[slot] : Outcome::Kind::kUnknown; }

  // Checks how many results have names, and notes what these will be.
  void note_results(const CallDef& def, const Step& step) {
    const Outcome outcome = outcome_of(step);
    if (step.results.size() > 1 && outcome.count && *outcome.count != step.results.size()) {
      add_fault(FieldPath(step.where).field(".results"), ": ", def.name, " gives ", counted(*outcome.count, "result"),
                ", ", counted(step.results.size(), "name"), " are bound");
    }
    if (def.when) return;
    for (const size_t slot : step.results) {
      note_kind(slot, step.results.size() == 1               ? outcome.kind
                      : step.op && outcome.count.has_value() ? Outcome::Kind::kTensor
                                                             : Outcome::Kind::kUnknown);
    }
  }

  Outcome outcome_of(const Step& step) const {
    if (step.module) {
      const Module* module = program_.modules_[*step.module];
      if (dynamic_cast<const TensorModule*>(module) != nullptr) return kOneTensor;
      const auto* graph = dynamic_cast<const GraphModule*>(module);
      if (graph == nullptr || graph->output_count() < 2) return {};
      return several(graph->output_count());
    }
    if (!step.op || step.op->op().call != nullptr) return {};
    const OpDef& op = step.op->op();
    if (op.many_outputs) return {std::nullopt, Outcome::Kind::kTuple};
    if (op.visible_outputs == 1) return kOneTensor;
    // Pooling gives its indices when it is asked to.
    constexpr std::string_view kIndices = "return_indices";
    if (!step.op->takes(kIndices)) return several(op.visible_outputs);
    for (size_t i = 0; i < step.operands.size(); ++i) {
      if (!step.op->is_attribute(i) || step.op->name_of(i) != kIndices) continue;
      const Operand& asked = step.operands[i];
      if (asked.kind != OperandKind::kConstant || !asked.constant.is_bool()) return {};
      return asked.constant.boolean() ? several(op.visible_outputs) : kOneTensor;
    }
    return kOneTensor;
  }

  // What the operand is when it can never be a tensor; empty when it can.
  std::string no_tensor(const Operand& operand, bool numbers, bool none) const {
    switch (operand.kind) {
      case OperandKind::kConstant:
        if (operand.constant.is_tensor() || (numbers && operand.constant.is_number())) return "";
        if (operand.constant.is_none()) return none ? "" : "none";
        return operand.constant.is_list() ? "a list" : operand.constant.describe();
      case OperandKind::kSlot:
        return kind_of(operand.slot) == Outcome::Kind::kTuple ? "a tuple of results" : "";
      case OperandKind::kList:
        return "a list";
      case OperandKind::kSlice:
        return "a slice";
      case OperandKind::kTraining:
        return numbers ? "" : "the training flag";
    }
    return "";
  }

  static std::string where_of(const Step& step, size_t i) {
    return i < step.positional ? str_cat(step.where, ".args[", i, "]")
                               : str_cat(step.where, ".kwargs['", step.names[i - step.positional], "']");
  }

  // The i-th operand of an op, which is (part of) a declared input.
  void check_input(const Step& step, size_t i) {
    const OpDef& op = step.op->op();
    const InputDecl& decl = op.inputs[step.op->input_of(i)];
    const auto refuse = [&](const std::string& at, const std::string& what) {
      if (what.empty()) return;
      add_fault(where_of(step, i), at, ": ", op.name, ": argument '", decl.name, "': expected a tensor, got ", what);
    };
    const Operand& operand = step.operands[i];
    const bool numbers = !decl.is_tensor;
    if (!decl.is_list) return refuse("", no_tensor(operand, numbers, decl.is_optional));
    const bool list = operand.kind == OperandKind::kList;
    const bool tuple = operand.kind == OperandKind::kConstant && operand.constant.is_tuple();
    if (list) {
      for (size_t k = 0; k < operand.items.size(); ++k) {
        refuse(str_cat("[", k, "]"), no_tensor(operand.items[k], numbers, false));
      }
    } else if (tuple) {
      const Tuple& items = operand.constant.tuple();
      for (size_t k = 0; k < items.size(); ++k) {
        Operand item;
        item.constant = items[k];
        refuse(str_cat("[", k, "]"), no_tensor(item, numbers, false));
      }
    } else if (operand.kind != OperandKind::kSlot) {
      refuse("", no_tensor(operand, numbers, false));
    }
  }

  // The i-th operand of an op, which is (part of) an attribute: what no value of it can be.
  void check_attribute(const Step& step, size_t i, const std::vector<AttributeInfo>& attributes) {
    const std::string_view name = step.op->name_of(i);
    const auto info = std::ranges::find(attributes, name, &AttributeInfo::name);
    if (info == attributes.end()) return;
    constexpr std::array<std::string_view, 7> kPlain{"int", "float", "bool", "string", "dtype", "ints", "floats"};
    if (std::ranges::find(kPlain, info->type) == kPlain.end()) return;
    const Operand& operand = step.operands[i];
    const bool several = info->type == "ints" || info->type == "floats";
    std::string_view what;
    if (operand.kind == OperandKind::kList && !several) what = "a list";
    if (operand.kind == OperandKind::kSlice) what = "a slice";
    if (operand.kind == OperandKind::kSlot && kind_of(operand.slot) == Outcome::Kind::kTensor) what = "a tensor";
    if (what.empty()) return;
    add_fault(where_of(step, i), ": ", step.op->op().name, ": attribute '", name, "': expected ", info->type, ", got ",
              what);
  }

  void check_module_arguments(const Module& module, const CallDef& def, const Step& step) {
    if (const auto* graph = dynamic_cast<const GraphModule*>(&module)) {
      return check_inputs_of(*graph, def, step);
    }
    if (dynamic_cast<const TensorModule*>(&module) == nullptr) return;
    const std::string type(module.type());
    for (const std::string& name : step.names) {
      if (name != "input") {
        add_fault(step.where, ": ", type, " has no argument ", quoted(name), "; it takes input");
      }
    }
    if (step.operands.size() != 1) {
      add_fault(step.where, ": ", type, " takes one tensor, got ", counted(step.operands.size(), "argument"));
    } else if (const std::string what = no_tensor(step.operands[0], false, false); !what.empty()) {
      add_fault(where_of(step, 0), ": ", type, ": argument 'input': expected a tensor, got ", what);
    }
  }

  void check_inputs_of(const GraphModule& graph, const CallDef& def, const Step& step) {
    const std::vector<GraphInputDef>& inputs = graph.inputs();
    std::set<std::string_view> given;
    if (step.positional > inputs.size()) {
      add_fault(step.where, ": module ", quoted(def.name), " takes ", counted(inputs.size(), "input"), ", got ",
                step.positional);
    }
    for (size_t i = 0; i < std::min(step.positional, inputs.size()); ++i) given.insert(inputs[i].name);
    std::set<std::string_view> known;
    for (const GraphInputDef& input : inputs) known.insert(input.name);
    for (const std::string& name : step.names) {
      if (!known.contains(name)) {
        add_fault(step.where, ": module ", quoted(def.name), " has no input ", quoted(name));
      } else if (!given.insert(name).second) {
        add_fault(step.where, ": input ", quoted(name), " is given twice");
      }
    }
    for (const GraphInputDef& input : inputs) {
      if (input.optional || given.contains(input.name)) continue;
      add_fault(step.where, ": module ", quoted(def.name), " needs its input ", quoted(input.name));
    }
  }

  static ArgumentHint hint_of(const Operand& operand) {
    if (operand.kind == OperandKind::kConstant) return tapewire::hint_of(operand.constant);
    if (operand.kind != OperandKind::kList) return ArgumentHint::kUnknown;
    for (const Operand& item : operand.items) {
      if (hint_of(item) != ArgumentHint::kLiteral) return ArgumentHint::kUnknown;
    }
    return ArgumentHint::kLiteral;
  }

  void check_arguments(const Step& step) {
    const OpDef& op = step.op->op();
    const std::vector<AttributeInfo> attributes = op.attributes();
    for (size_t i = 0; i < step.operands.size(); ++i) {
      if (step.op->is_attribute(i)) {
        if (op.call == nullptr) check_attribute(step, i, attributes);
      } else if (op.name != "getitem") {  // which takes tuples and dicts, too
        check_input(step, i);
      }
    }
  }

  void bind_op(const CallDef& def, Step& step) {
    bool inplace = false;
    const OpDef* op = nullptr;
    std::vector<std::string> own;
    try {
      op = &require_op(def.name, &inplace);
    } catch (const Error& error) {
      add_fault(step.where, ": ", error.message());
      return;
    }
    absl::InlinedVector<ArgumentHint, 4> hints;
    for (size_t i = 0; i < step.positional; ++i) hints.push_back(hint_of(step.operands[i]));
    // Calls of one form share what does not depend on their literals; faults are told of each.
    Form fresh;
    Form& form = forms_[{op, inplace, {hints.begin(), hints.end()}, step.names}];
    if (!form.call) {
      form.call = std::make_shared<const BoundCall>(*op, inplace, hints, step.names, own);
      if (!own.empty()) std::swap(form, fresh);
    }
    Form& used = own.empty() ? form : fresh;
    step.op = used.call;
    step.takes_mode = step.op->takes("training") && std::ranges::find(step.names, "training") == step.names.end() &&
                      !step.op->given("training");
    bool literal = op->call == nullptr;
    bool attributes = false;
    std::vector<Value> values;
    for (size_t i = 0; i < step.operands.size(); ++i) {
      const bool constant = step.operands[i].kind == OperandKind::kConstant;
      if (own.empty() && step.op->is_attribute(i)) {
        literal = literal && constant;
        attributes = true;
      }
      values.push_back(step.operands[i].constant);
    }
    if (own.empty()) check_arguments(step);
    if (own.empty() && literal && !attributes && form.attrs[0]) {
      std::ranges::copy(form.attrs, step.attrs);
    } else if (own.empty() && literal) {
      for (const bool training : {false, true}) {
        if (training && !step.takes_mode) break;
        std::vector<std::string> faults;
        const AttributeMap mode = step.takes_mode ? AttributeMap{{"training", Value(training)}} : AttributeMap{};
        step.attrs[training ? 1 : 0] = step.op->parse(values, mode, faults);
        if (!training) own.insert(own.end(), faults.begin(), faults.end());
      }
      if (own.empty() && !attributes) std::ranges::copy(step.attrs, form.attrs);
    }
    for (const std::string& fault : own) add_fault(step.where, ": ", fault);
  }

  struct Form {
    std::shared_ptr<const BoundCall> call;
    std::shared_ptr<const void> attrs[2];  // of calls without literals
  };
  using FormKey = std::tuple<const OpDef*, bool, std::vector<ArgumentHint>, std::vector<std::string>>;

  Program& program_;
  Packed& packed_;
  Packer packer_;
  Module* owner_;
  std::vector<std::string>& faults_;
  const size_t before_ = faults_.size();
  std::map<std::string, size_t, std::less<>> slots_;
  std::map<FormKey, Form> forms_;
  std::map<const Module*, uint32_t> modules_;  // that are called
  std::unordered_map<const Module*, Children> children_;
  std::vector<Outcome::Kind> kinds_;  // by slot; may be shorter
  size_t suggestions_ = 0;
};

Program::Program(const GraphDef& def, Module* owner, std::vector<std::string>& faults) {
  const auto packed = std::make_shared<Packed>();
  Compiler(*this, *packed, owner, faults).compile(def);
  packed_ = packed;
}

// A list or a slice of constants.
Value Program::evaluate(const Operand& operand) {
  if (operand.kind == OperandKind::kConstant) return operand.constant;
  if (operand.kind == OperandKind::kList) {
    Tuple items;
    for (const Operand& item : operand.items) items.push_back(evaluate(item));
    return items;
  }
  const auto part = [&](size_t i) -> std::optional<int64_t> {
    if (i >= operand.items.size() || operand.items[i].constant.is_none()) return std::nullopt;
    return operand.items[i].constant.integer();
  };
  return Slice{part(0), part(1), part(2)};
}

}  // namespace tapewire
