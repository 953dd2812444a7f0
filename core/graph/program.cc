#include "core/graph/program.h"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>

#include "core/base/cancel.h"
#include "core/base/field_path.h"
#include "core/base/limit_error.h"
#include "core/base/suggest.h"
#include "core/ops/registry.h"

namespace tapewire {

// Turns names into slots and checks everything that can be checked without tensors.
class Program::Compiler {
 public:
  Compiler(Program& program, Module* owner, std::vector<std::string>& faults)
      : program_(program), owner_(owner), faults_(faults) {}

  // Stops once there are kMostFaults: whoever sent the graph mends those first.
  void compile(const GraphDef& def) {
    for (size_t i = 0; i < def.inputs.size() && !full(); ++i) {
      bind(def.inputs[i].name, FieldPath("inputs").item("", number(i)));
      program_.inputs_.push_back(def.inputs[i]);
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
      program_.outputs_.push_back(look_up(def.outputs[i], FieldPath("outputs").item("", number(i))));
    }
    if (faults_.size() == before_) find_last_uses();
  }

 private:
  static constexpr size_t kMostFaults = 100;
  static constexpr size_t kMostSuggestions = 10;   // faults that come with one
  static constexpr size_t kMostCandidates = 1000;  // names that are looked through for it

  static int64_t number(size_t i) { return static_cast<int64_t>(i); }

  bool full() const { return faults_.size() >= before_ + kMostFaults; }
  template <class... Parts>
  void add_fault(const FieldPath& where, const Parts&... parts) {
    if (!full()) faults_.push_back(str_cat(where.str(), parts...));
  }

  size_t bind(const std::string& name, const FieldPath& where) {
    const size_t slot = program_.initial_.size();
    program_.initial_.emplace_back();
    if (name.empty()) {
      add_fault(where, ": a name must not be empty");
    } else if (!slots_.emplace(name, slot).second) {
      add_fault(where, ": name ", quoted(name), " is bound twice");
    }
    return slot;
  }
  void bind_tensor(const std::string& name, const Tensor& tensor) {
    program_.initial_[bind(name, FieldPath("").named("name ", name))] = tensor;
    ++constants_;
  }

  size_t drop() {
    program_.initial_.emplace_back();
    return program_.initial_.size() - 1;
  }

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
        if (i % kCancelEvery == kCancelEvery - 1) check_cancelled();
        out.items.push_back(operand(parts[i], where.item(slice != nullptr ? ".slice" : "", number(i))));
        constant = constant && out.items.back().kind == Operand::Kind::kConstant;
      }
      if (constant) {
        try {
          out.constant = evaluate(out, {}, false);
          out.kind = Operand::Kind::kConstant;
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
      step.module = find_module(def.name);
      // A graph does not call itself; nor may a step that is refused hold the module that holds it.
      if (step.module.get() == owner_) step.module = nullptr;
      if (!step.module && !full()) {
        const bool owned = owner_ != nullptr;
        add_fault(at, ": unknown module ", quoted(def.name),
                  owned ? suggestion(def.name, children_of(*owner_)) : std::string());
      }
    } else {
      bind_op(def, step);
    }
    for (const std::string& name : def.results) {
      // An empty name drops its result.
      step.results.push_back(name.empty() ? drop() : bind(name, at.field(".results")));
    }
    program_.steps_.push_back(std::move(step));
  }

  // As Module::find, by tables: a graph may call each of many children.
  using Children = std::map<std::string_view, std::shared_ptr<Module>>;
  const Children& children_of(const Module& module) {
    const auto [found, added] = children_.try_emplace(&module);
    if (added) {
      for (const NamedModule& child : module.children()) found->second.emplace(child.name, child.module);
    }
    return found->second;
  }
  std::shared_ptr<Module> find_module(std::string_view path) {
    if (owner_ == nullptr) return nullptr;
    if (path.empty()) return owner_->shared_from_this();
    std::shared_ptr<Module> at;
    while (true) {
      const size_t dot = path.find('.');
      const Children& children = children_of(at ? *at : *owner_);
      const auto found = children.find(path.substr(0, dot));
      if (found == children.end()) return nullptr;
      at = found->second;
      if (dot == std::string_view::npos) return at;
      path.remove_prefix(dot + 1);
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
    if (own.empty() && literal) {
      for (const bool training : {false, true}) {
        std::vector<std::string> faults;
        step.attrs[training ? 1 : 0] = step.op->parse(values, mode_attribute(step, training), faults);
        if (!training) own.insert(own.end(), faults.begin(), faults.end());
      }
    }
    for (const std::string& fault : own) add_fault(step.where, ": ", fault);
  }

  // A value is let go by the step that reads it last, unless it is a parameter or an output.
  void find_last_uses() {
    constexpr size_t kNever = std::numeric_limits<size_t>::max();
    std::vector<size_t> last(program_.initial_.size(), kNever);
    const auto visit = [&](auto&& self, const Operand& operand, size_t step) -> void {
      if (operand.kind == Operand::Kind::kSlot) last[operand.slot] = step;
      for (const Operand& item : operand.items) self(self, item, step);
    };
    for (size_t i = 0; i < program_.steps_.size(); ++i) {
      if (i % kCancelEvery == 0) check_cancelled();
      for (const Operand& operand : program_.steps_[i].operands) visit(visit, operand, i);
      if (program_.steps_[i].present) last[*program_.steps_[i].present] = i;
    }
    for (const size_t slot : program_.outputs_) last[slot] = kNever;
    const size_t first_constant = program_.inputs_.size();
    for (size_t slot = 0; slot < last.size(); ++slot) {
      const bool constant = slot >= first_constant && slot < first_constant + constants_;
      if (last[slot] != kNever && !constant) program_.steps_[last[slot]].last_uses.push_back(slot);
    }
  }

  static constexpr size_t kCancelEvery = 256;

  Program& program_;
  Module* owner_;
  std::vector<std::string>& faults_;
  const size_t before_ = faults_.size();
  std::map<std::string, size_t, std::less<>> slots_;
  std::unordered_map<const Module*, Children> children_;
  size_t constants_ = 0;
  size_t suggestions_ = 0;
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
      throw_within(error, step.where);
    }
    for (const size_t slot : step.last_uses) slots[slot] = Value();
  }
  if (outputs_.size() == 1) return slots[outputs_[0]];
  Tuple out;
  for (const size_t slot : outputs_) out.push_back(slots[slot]);
  return out;
}

}  // namespace tapewire
