#include "core/graph/program.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/graph/graph_module.h"
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

// Turns names into slots and checks everything that can be checked without tensors.
class Program::Compiler {
 public:
  Compiler(Program& program, Module* owner, std::vector<std::string>& faults)
      : program_(program), owner_(owner), faults_(faults) {}

  void compile(const GraphDef& def) {
    for (size_t i = 0; i < def.inputs.size(); ++i) {
      bind(def.inputs[i].name, str_cat("inputs[", i, "]"));
      program_.inputs_.push_back(def.inputs[i]);
    }
    if (owner_ != nullptr) {
      for (const NamedTensor& p : owner_->own_parameters()) bind_tensor(p.name, p.tensor);
      for (const Module::Buffer& b : owner_->own_buffers()) bind_tensor(b.name, b.tensor);
    }
    for (size_t i = 0; i < def.calls.size(); ++i) add_call(def.calls[i], str_cat("calls[", i, "]"));
    if (def.outputs.empty()) faults_.push_back("outputs: a graph needs at least one output");
    for (size_t i = 0; i < def.outputs.size(); ++i) {
      program_.outputs_.push_back(look_up(def.outputs[i], str_cat("outputs[", i, "]")));
    }
    find_last_uses();
  }

 private:
  size_t bind(const std::string& name, const std::string& where) {
    const size_t slot = program_.initial_.size();
    program_.initial_.emplace_back();
    if (name.empty()) {
      faults_.push_back(str_cat(where, ": a name must not be empty"));
    } else if (!slots_.emplace(name, slot).second) {
      faults_.push_back(str_cat(where, ": name ", quoted(name), " is bound twice"));
    }
    return slot;
  }
  void bind_tensor(const std::string& name, const Tensor& tensor) {
    const size_t slot = bind(name, str_cat("name ", quoted(name)));
    program_.initial_[slot] = tensor;
    if (tensor.defined()) note_kind(slot, Outcome::Kind::kTensor);
    ++constants_;
  }

  size_t drop() {
    program_.initial_.emplace_back();
    return program_.initial_.size() - 1;
  }

  size_t look_up(const std::string& name, const std::string& where) {
    if (const auto found = slots_.find(name); found != slots_.end()) return found->second;
    std::vector<std::string_view> known;
    for (const auto& [other, slot] : slots_) known.push_back(other);
    faults_.push_back(str_cat(where, ": unknown name ", quoted(name), did_you_mean(name, known)));
    return 0;
  }

  Operand operand(const ArgumentDef& def, const std::string& where) {
    Operand out;
    if (const auto* literal = std::get_if<Value>(&def.kind)) {
      out.constant = *literal;
    } else if (const auto* ref = std::get_if<ArgumentDef::Ref>(&def.kind)) {
      out.kind = Operand::Kind::kSlot;
      out.slot = look_up(ref->name, where);
    } else if (std::holds_alternative<ArgumentDef::Training>(def.kind)) {
      out.kind = Operand::Kind::kTraining;
    } else {
      const auto* slice = std::get_if<SliceDef>(&def.kind);
      const auto& parts = slice != nullptr ? slice->parts : std::get<std::vector<ArgumentDef>>(def.kind);
      out.kind = slice != nullptr ? Operand::Kind::kSlice : Operand::Kind::kList;
      bool constant = true;
      for (size_t i = 0; i < parts.size(); ++i) {
        out.items.push_back(operand(parts[i], str_cat(where, slice != nullptr ? ".slice" : "", "[", i, "]")));
        constant = constant && out.items.back().kind == Operand::Kind::kConstant;
      }
      if (constant) {
        try {
          out.constant = evaluate(out, {}, false);
          out.kind = Operand::Kind::kConstant;
          out.items.clear();
        } catch (const Error& error) {
          faults_.push_back(str_cat(where, ": ", error.message()));
        }
      }
    }
    return out;
  }

  void add_call(const CallDef& def, const std::string& where) {
    Step step;
    step.where = where;
    step.positional = def.args.size();
    for (size_t i = 0; i < def.args.size(); ++i) {
      step.operands.push_back(operand(def.args[i], str_cat(where, ".args[", i, "]")));
    }
    for (const auto& [name, argument] : def.kwargs) {
      step.names.push_back(name);
      step.operands.push_back(operand(argument, str_cat(where, ".kwargs['", name, "']")));
    }
    if (def.when) {
      if (def.when->present) step.present = look_up(*def.when->present, str_cat(where, ".when"));
      step.training = def.when->training;
    }
    if (def.target == CallDef::Target::kModule) {
      step.module = owner_ != nullptr ? owner_->find(def.name) : nullptr;
      if (!step.module || step.module.get() == owner_) {
        std::vector<std::string_view> known;
        if (owner_ != nullptr) {
          for (const NamedModule& child : owner_->children()) known.push_back(child.name);
        }
        faults_.push_back(str_cat(where, ": unknown module ", quoted(def.name), did_you_mean(def.name, known)));
        step.module = nullptr;
      } else {
        check_module_arguments(def, step);
      }
    } else {
      bind_op(def, step);
    }
    for (const std::string& name : def.results) {
      // An empty name drops its result.
      step.results.push_back(name.empty() ? drop() : bind(name, str_cat(where, ".results")));
    }
    const Outcome outcome = outcome_of(step);
    if (step.results.size() > 1 && outcome.count && *outcome.count != step.results.size()) {
      faults_.push_back(str_cat(where, ".results: ", def.name, " gives ", counted(*outcome.count, "result"), ", ",
                                counted(step.results.size(), "name"), " are bound"));
    }
    if (!def.when) {
      for (const size_t slot : step.results) {
        note_kind(slot, step.results.size() == 1               ? outcome.kind
                        : step.op && outcome.count.has_value() ? Outcome::Kind::kTensor
                                                               : Outcome::Kind::kUnknown);
      }
    }
    program_.steps_.push_back(std::move(step));
  }

  void note_kind(size_t slot, Outcome::Kind kind) {
    kinds_.resize(std::max(kinds_.size(), slot + 1), Outcome::Kind::kUnknown);
    kinds_[slot] = kind;
  }
  Outcome::Kind kind_of(size_t slot) const { return slot < kinds_.size() ? kinds_[slot] : Outcome::Kind::kUnknown; }

  Outcome outcome_of(const Step& step) const {
    if (step.module) {
      if (dynamic_cast<const TensorModule*>(step.module.get()) != nullptr) return kOneTensor;
      const auto* graph = dynamic_cast<const GraphModule*>(step.module.get());
      if (graph == nullptr || graph->definition().outputs.size() < 2) return {};
      return several(graph->definition().outputs.size());
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
      if (asked.kind != Operand::Kind::kConstant || !asked.constant.is_bool()) return {};
      return asked.constant.boolean() ? several(op.visible_outputs) : kOneTensor;
    }
    return kOneTensor;
  }

  // What the operand is when it can never be a tensor; empty when it can.
  std::string no_tensor(const Operand& operand, bool numbers, bool none) const {
    switch (operand.kind) {
      case Operand::Kind::kConstant:
        if (operand.constant.is_tensor() || (numbers && operand.constant.is_number())) return "";
        if (operand.constant.is_none()) return none ? "" : "none";
        return operand.constant.is_list() ? "a list" : operand.constant.describe();
      case Operand::Kind::kSlot:
        return kind_of(operand.slot) == Outcome::Kind::kTuple ? "a tuple of results" : "";
      case Operand::Kind::kList:
        return "a list";
      case Operand::Kind::kSlice:
        return "a slice";
      case Operand::Kind::kTraining:
        return numbers ? "" : "the training flag";
    }
    return "";
  }

  static std::string place_of(const Step& step, size_t i) {
    return i < step.positional ? str_cat(step.where, ".args[", i, "]")
                               : str_cat(step.where, ".kwargs['", step.names[i - step.positional], "']");
  }

  // The i-th operand of an op, which is (part of) a declared input.
  void check_input(const Step& step, size_t i) {
    const OpDef& op = step.op->op();
    const InputDecl& decl = op.inputs[step.op->input_of(i)];
    const auto refuse = [&](const std::string& at, const std::string& what) {
      if (what.empty()) return;
      faults_.push_back(
          str_cat(place_of(step, i), at, ": ", op.name, ": argument '", decl.name, "': expected a tensor, got ", what));
    };
    const Operand& operand = step.operands[i];
    const bool numbers = !decl.is_tensor;
    if (!decl.is_list) return refuse("", no_tensor(operand, numbers, decl.is_optional));
    const bool list = operand.kind == Operand::Kind::kList;
    const bool tuple = operand.kind == Operand::Kind::kConstant && operand.constant.is_tuple();
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
    } else if (operand.kind != Operand::Kind::kSlot) {
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
    if (operand.kind == Operand::Kind::kList && !several) what = "a list";
    if (operand.kind == Operand::Kind::kSlice) what = "a slice";
    if (operand.kind == Operand::Kind::kSlot && kind_of(operand.slot) == Outcome::Kind::kTensor) what = "a tensor";
    if (what.empty()) return;
    faults_.push_back(str_cat(place_of(step, i), ": ", step.op->op().name, ": attribute '", name, "': expected ",
                              info->type, ", got ", what));
  }

  void check_module_arguments(const CallDef& def, const Step& step) {
    if (const auto* graph = dynamic_cast<const GraphModule*>(step.module.get())) {
      return check_inputs_of(*graph, def, step);
    }
    if (dynamic_cast<const TensorModule*>(step.module.get()) == nullptr) return;
    const std::string type(step.module->type());
    for (const std::string& name : step.names) {
      if (name != "input") {
        faults_.push_back(str_cat(step.where, ": ", type, " has no argument ", quoted(name), "; it takes input"));
      }
    }
    if (step.operands.size() != 1) {
      faults_.push_back(
          str_cat(step.where, ": ", type, " takes one tensor, got ", counted(step.operands.size(), "argument")));
    } else if (const std::string what = no_tensor(step.operands[0], false, false); !what.empty()) {
      faults_.push_back(str_cat(place_of(step, 0), ": ", type, ": argument 'input': expected a tensor, got ", what));
    }
  }

  void check_inputs_of(const GraphModule& graph, const CallDef& def, const Step& step) {
    const std::vector<GraphInputDef>& inputs = graph.definition().inputs;
    std::set<std::string_view> given;
    if (step.positional > inputs.size()) {
      faults_.push_back(str_cat(step.where, ": module ", quoted(def.name), " takes ", counted(inputs.size(), "input"),
                                ", got ", step.positional));
    }
    for (size_t i = 0; i < std::min(step.positional, inputs.size()); ++i) given.insert(inputs[i].name);
    std::set<std::string_view> known;
    for (const GraphInputDef& input : inputs) known.insert(input.name);
    for (const std::string& name : step.names) {
      if (!known.contains(name)) {
        faults_.push_back(str_cat(step.where, ": module ", quoted(def.name), " has no input ", quoted(name)));
      } else if (!given.insert(name).second) {
        faults_.push_back(str_cat(step.where, ": input ", quoted(name), " is given twice"));
      }
    }
    for (const GraphInputDef& input : inputs) {
      if (input.optional || given.contains(input.name)) continue;
      faults_.push_back(str_cat(step.where, ": module ", quoted(def.name), " needs its input ", quoted(input.name)));
    }
  }

  static ArgumentHint hint_of(const Operand& operand) {
    if (operand.kind == Operand::Kind::kConstant) return tapewire::hint_of(operand.constant);
    if (operand.kind != Operand::Kind::kList) return ArgumentHint::kUnknown;
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
      faults_.push_back(str_cat(step.where, ": ", error.message()));
      return;
    }
    absl::InlinedVector<ArgumentHint, 4> hints;
    for (size_t i = 0; i < step.positional; ++i) hints.push_back(hint_of(step.operands[i]));
    step.op = std::make_unique<BoundCall>(*op, inplace, hints, step.names, own);
    step.takes_mode = step.op->takes("training") && std::ranges::find(step.names, "training") == step.names.end() &&
                      !step.op->given("training");
    bool literal = op->call == nullptr;
    std::vector<Value> values;
    for (size_t i = 0; i < step.operands.size(); ++i) {
      const bool constant = step.operands[i].kind == Operand::Kind::kConstant;
      if (own.empty() && step.op->is_attribute(i)) literal = literal && constant;
      values.push_back(step.operands[i].constant);
    }
    if (own.empty()) check_arguments(step);
    if (own.empty() && literal) {
      for (const bool training : {false, true}) {
        std::vector<std::string> faults;
        step.attrs[training ? 1 : 0] = step.op->parse(values, mode_attribute(step, training), faults);
        if (!training) own.insert(own.end(), faults.begin(), faults.end());
      }
    }
    for (const std::string& fault : own) faults_.push_back(str_cat(step.where, ": ", fault));
  }

  // A value is let go by the step that reads it last, unless it is a parameter or an output.
  void find_last_uses() {
    std::map<size_t, size_t> last;
    const auto visit = [&](auto&& self, const Operand& operand, size_t step) -> void {
      if (operand.kind == Operand::Kind::kSlot) last[operand.slot] = step;
      for (const Operand& item : operand.items) self(self, item, step);
    };
    for (size_t i = 0; i < program_.steps_.size(); ++i) {
      for (const Operand& operand : program_.steps_[i].operands) visit(visit, operand, i);
      if (program_.steps_[i].present) last[*program_.steps_[i].present] = i;
    }
    const std::set<size_t> outputs(program_.outputs_.begin(), program_.outputs_.end());
    const size_t first_constant = program_.inputs_.size();
    for (const auto& [slot, step] : last) {
      const bool constant = slot >= first_constant && slot < first_constant + constants_;
      const bool output = outputs.contains(slot);
      if (!constant && !output) program_.steps_[step].last_uses.push_back(slot);
    }
  }

  Program& program_;
  Module* owner_;
  std::vector<std::string>& faults_;
  std::map<std::string, size_t, std::less<>> slots_;
  std::vector<Outcome::Kind> kinds_;  // by slot; may be shorter
  size_t constants_ = 0;
};

Program::Program(const GraphDef& def, Module* owner, std::vector<std::string>& faults) {
  Compiler(*this, owner, faults).compile(def);
}

Value Program::evaluate(const Operand& operand, const std::vector<Value>& slots, bool training) {
  switch (operand.kind) {
    case Operand::Kind::kConstant:
      return operand.constant;
    case Operand::Kind::kSlot:
      return slots[operand.slot];
    case Operand::Kind::kTraining:
      return training;
    case Operand::Kind::kList: {
      Tuple items;
      for (const Operand& item : operand.items) items.push_back(evaluate(item, slots, training));
      return items;
    }
    case Operand::Kind::kSlice: {
      const auto part = [&](size_t i) -> std::optional<int64_t> {
        const Value v = i < operand.items.size() ? evaluate(operand.items[i], slots, training) : Value();
        if (v.is_none()) return std::nullopt;
        return v.integer();
      };
      return Slice{part(0), part(1), part(2)};
    }
  }
  fail_internal("no such operand");
}

AttributeMap Program::mode_attribute(const Step& step, bool training) {
  if (!step.takes_mode) return {};
  return {{"training", Value(training)}};
}

void Program::run_step(const Step& step, std::vector<Value>& slots, bool training) const {
  if ((step.present && slots[*step.present].is_none()) || (step.training && *step.training != training)) {
    for (const size_t slot : step.results) slots[slot] = Value();
    return;
  }
  absl::InlinedVector<Value, 4> values;
  for (const Operand& operand : step.operands) values.push_back(evaluate(operand, slots, training));
  Value result;
  if (step.module) {
    Args args;
    for (size_t i = 0; i < values.size(); ++i) {
      if (i < step.positional) {
        args.positional.push_back(std::move(values[i]));
      } else {
        args.named.emplace_back(step.names[i - step.positional], std::move(values[i]));
      }
    }
    values.clear();
    result = (*step.module)(args);
  } else {
    std::shared_ptr<const void> parsed;
    const void* attrs = step.attrs[training ? 1 : 0].get();
    const AttributeMap mode = attrs == nullptr ? mode_attribute(step, training) : AttributeMap{};
    if (attrs == nullptr && step.op->op().call == nullptr) {
      std::vector<std::string> faults;
      parsed = step.op->parse(values, mode, faults);
      if (!faults.empty()) fail(faults.front());
      attrs = parsed.get();
    }
    result = step.op->run(values, attrs, mode);
  }
  if (step.results.size() == 1) {
    slots[step.results[0]] = std::move(result);
    return;
  }
  if (step.results.empty()) return;
  const Tuple& items = result.tuple();
  if (items.size() != step.results.size()) {
    fail("the call gives ", items.size(), " results, ", step.results.size(), " names are bound");
  }
  for (size_t i = 0; i < items.size(); ++i) slots[step.results[i]] = items[i];
}

bool Program::draws_in_eval() const {
  return std::ranges::any_of(steps_, [](const Step& step) {
    return step.op && step.op->op().random && !step.takes_mode && !step.training.value_or(false);
  });
}

Value Program::run(const Args& args, bool training) const {
  std::vector<Value> slots = initial_;
  if (args.positional.size() > inputs_.size()) {
    fail("takes ", inputs_.size(), " inputs, got ", args.positional.size());
  }
  std::vector<bool> given(inputs_.size());
  for (size_t i = 0; i < args.positional.size(); ++i) {
    slots[i] = args.positional[i];
    given[i] = true;
  }
  for (const auto& [name, value] : args.named) {
    const auto found = std::ranges::find(inputs_, name, &GraphInputDef::name);
    if (found == inputs_.end()) {
      std::vector<std::string_view> known;
      for (const GraphInputDef& in : inputs_) known.push_back(in.name);
      fail("unknown input ", quoted(name), did_you_mean(name, known));
    }
    const auto i = static_cast<size_t>(found - inputs_.begin());
    if (given[i]) fail("input ", quoted(name), " is given twice");
    slots[i] = value;
    given[i] = true;
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (given[i]) continue;
    if (!inputs_[i].optional) fail("missing input ", quoted(inputs_[i].name));
    slots[i] = inputs_[i].default_value;
  }
  for (const Step& step : steps_) {
    check_cancelled();
    try {
      run_step(step, slots, training);
    } catch (const Error& error) {
      // A call of a child names the child; a call of an op names its place in this graph.
      if (step.module) throw;
      throw error.within(step.where);
    }
    for (const size_t slot : step.last_uses) slots[slot] = Value();
  }
  if (outputs_.size() == 1) return slots[outputs_[0]];
  Tuple out;
  for (const size_t slot : outputs_) out.push_back(slots[slot]);
  return out;
}

}  // namespace tapewire
