#include "core/graph/program.h"

#include <algorithm>
#include <map>
#include <span>
#include <tuple>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/ops/registry.h"

namespace tapewire {

// An argument of the call that is being compiled.
struct Program::Operand {
  enum class Kind : uint8_t { kConstant, kSlot, kList, kSlice, kTraining };
  Kind kind = Kind::kConstant;
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

// All calls, in a few arrays of small records: definitions may have very many.
struct Program::Packed {
  // Elements of one of the arrays.
  struct Range {
    uint32_t begin = 0;
    uint32_t count = 0;
  };
  struct Argument {
    Operand::Kind kind = Operand::Kind::kConstant;
    uint32_t index = 0;  // of a slot, of a constant, or of a list's range
  };
  static constexpr uint32_t kNone = ~uint32_t{0};
  enum class When : uint8_t { kAlways, kEval, kTraining };
  struct Call {
    uint32_t module = kNone;  // else an op:
    uint32_t op = kNone;
    uint32_t attrs = kNone;  // the eval mode's; the training mode's is the next where the op takes the mode
    uint32_t names = kNone;  // of the arguments behind the positional ones
    uint32_t present = kNone;
    Range arguments;
    Range results;
    Range last_uses;
    uint32_t positional = 0;
    When when = When::kAlways;
    bool takes_mode = false;
  };

  std::vector<GraphInputDef> inputs;
  std::vector<std::string> module_paths;
  std::vector<std::string> constant_names;  // parameters and buffers
  std::vector<Call> calls;
  std::vector<uint32_t> outputs;
  size_t slots = 0;  // inputs first, then parameters and buffers, then results

  std::vector<Argument> arguments;
  std::vector<Range> lists;  // of arguments
  std::vector<uint32_t> slot_lists;
  std::vector<Value> constants;
  std::vector<std::shared_ptr<const BoundCall>> ops;
  std::vector<std::shared_ptr<const void>> attrs;
  std::vector<std::vector<std::string>> names;
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

  // A value is let go by the call that reads it last, unless it is a parameter or an output.
  void find_last_uses() {
    std::vector<uint32_t> last(packed_.slots, Packed::kNone);
    for (uint32_t i = 0; i < packed_.calls.size(); ++i) {
      mark(packed_.calls[i].arguments, i, last);
      if (packed_.calls[i].present != Packed::kNone) last[packed_.calls[i].present] = i;
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
      case Operand::Kind::kConstant:
        packed_.constants.push_back(std::move(operand.constant));
        return {operand.kind, static_cast<uint32_t>(packed_.constants.size() - 1)};
      case Operand::Kind::kSlot:
        return {operand.kind, static_cast<uint32_t>(operand.slot)};
      case Operand::Kind::kTraining:
        return {operand.kind, 0};
      case Operand::Kind::kList:
      case Operand::Kind::kSlice: {
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
      if (argument.kind == Operand::Kind::kSlot) last[argument.index] = call;
      if (argument.kind == Operand::Kind::kList || argument.kind == Operand::Kind::kSlice) {
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

  void compile(const GraphDef& def) {
    for (size_t i = 0; i < def.inputs.size(); ++i) {
      bind(def.inputs[i].name, str_cat("inputs[", i, "]"));
      packed_.inputs.push_back(def.inputs[i]);
    }
    if (owner_ != nullptr) {
      for (const NamedTensor& p : owner_->own_parameters()) bind_tensor(p.name, p.tensor);
      for (const Module::Buffer& b : owner_->own_buffers()) bind_tensor(b.name, b.tensor);
    }
    for (size_t i = 0; i < def.calls.size(); ++i) add_call(def.calls[i], str_cat("calls[", i, "]"));
    if (def.outputs.empty()) faults_.push_back("outputs: a graph needs at least one output");
    for (size_t i = 0; i < def.outputs.size(); ++i) {
      packed_.outputs.push_back(static_cast<uint32_t>(look_up(def.outputs[i], str_cat("outputs[", i, "]"))));
    }
    packer_.find_last_uses();
    packer_.shrink();
  }

 private:
  size_t bind(const std::string& name, const std::string& where) {
    const size_t slot = packed_.slots++;
    if (name.empty()) {
      faults_.push_back(str_cat(where, ": a name must not be empty"));
    } else if (!slots_.emplace(name, slot).second) {
      faults_.push_back(str_cat(where, ": name ", quoted(name), " is bound twice"));
    }
    return slot;
  }
  void bind_tensor(const std::string& name, const Tensor& tensor) {
    bind(name, str_cat("name ", quoted(name)));
    packed_.constant_names.push_back(name);
    program_.constants_.push_back(tensor);
  }

  size_t drop() { return packed_.slots++; }

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
          out.constant = evaluate(out);
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
      Module* module = owner_ != nullptr ? owner_->find(def.name).get() : nullptr;
      if (module == nullptr || module == owner_) {
        std::vector<std::string_view> known;
        if (owner_ != nullptr) {
          for (const NamedModule& child : owner_->children()) known.push_back(child.name);
        }
        faults_.push_back(str_cat(where, ": unknown module ", quoted(def.name), did_you_mean(def.name, known)));
      } else {
        const auto [found, fresh] = modules_.try_emplace(module, static_cast<uint32_t>(modules_.size()));
        step.module = found->second;
        if (fresh) {
          program_.modules_.push_back(module);
          packed_.module_paths.push_back(def.name);
        }
      }
    } else {
      bind_op(def, step);
    }
    for (const std::string& name : def.results) {
      // An empty name drops its result.
      step.results.push_back(name.empty() ? drop() : bind(name, str_cat(where, ".results")));
    }
    packer_.add(std::move(step));
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
      faults_.push_back(str_cat(step.where, ": ", error.message()));
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
      const bool constant = step.operands[i].kind == Operand::Kind::kConstant;
      if (own.empty() && step.op->is_attribute(i)) {
        literal = literal && constant;
        attributes = true;
      }
      values.push_back(step.operands[i].constant);
    }
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
    for (const std::string& fault : own) faults_.push_back(str_cat(step.where, ": ", fault));
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
  std::map<std::string, size_t, std::less<>> slots_;
  std::map<FormKey, Form> forms_;
  std::map<const Module*, uint32_t> modules_;  // that are called
};

Program::Program(const GraphDef& def, Module* owner, std::vector<std::string>& faults) {
  const auto packed = std::make_shared<Packed>();
  Compiler(*this, *packed, owner, faults).compile(def);
  packed_ = packed;
}

Program::Program(const Program& other, Module& owner) : packed_(other.packed_) {
  for (const std::string& path : packed_->module_paths) {
    modules_.push_back(owner.find(path).get());
    if (modules_.back() == nullptr) fail_internal("a Graph's copy has no module ", quoted(path));
  }
  for (const NamedTensor& p : owner.own_parameters()) constants_.push_back(p.tensor);
  for (const Module::Buffer& b : owner.own_buffers()) constants_.push_back(b.tensor);
  if (constants_.size() != packed_->constant_names.size()) fail_internal("a Graph's copy has other tensors");
}

const std::vector<GraphInputDef>& Program::inputs() const { return packed_->inputs; }

// A list or a slice of constants.
Value Program::evaluate(const Operand& operand) {
  if (operand.kind == Operand::Kind::kConstant) return operand.constant;
  if (operand.kind == Operand::Kind::kList) {
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

bool Program::draws_in_eval() const {
  return std::ranges::any_of(packed_->calls, [this](const Packed::Call& call) {
    return call.op != Packed::kNone && packed_->ops[call.op]->op().random && !call.takes_mode &&
           call.when != Packed::When::kTraining;
  });
}

// One run's values.
class Program::Run {
 public:
  Run(const Program& program, bool training)
      : program_(program), packed_(*program.packed_), training_(training), slots_(packed_.slots) {}

  void take(const Args& args) {
    const std::vector<GraphInputDef>& inputs = packed_.inputs;
    if (args.positional.size() > inputs.size()) {
      fail("takes ", inputs.size(), " inputs, got ", args.positional.size());
    }
    std::vector<bool> given(inputs.size());
    for (size_t i = 0; i < args.positional.size(); ++i) {
      slots_[i] = args.positional[i];
      given[i] = true;
    }
    for (const auto& [name, value] : args.named) {
      const auto found = std::ranges::find(inputs, name, &GraphInputDef::name);
      if (found == inputs.end()) {
        std::vector<std::string_view> known;
        for (const GraphInputDef& in : inputs) known.push_back(in.name);
        fail("unknown input ", quoted(name), did_you_mean(name, known));
      }
      const auto i = static_cast<size_t>(found - inputs.begin());
      if (given[i]) fail("input ", quoted(name), " is given twice");
      slots_[i] = value;
      given[i] = true;
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (given[i]) continue;
      if (!inputs[i].optional) fail("missing input ", quoted(inputs[i].name));
      slots_[i] = inputs[i].default_value;
    }
    for (size_t i = 0; i < program_.constants_.size(); ++i) slots_[inputs.size() + i] = program_.constants_[i];
  }

  void run() {
    for (size_t i = 0; i < packed_.calls.size(); ++i) {
      check_cancelled();
      const Packed::Call& call = packed_.calls[i];
      try {
        run_call(call);
      } catch (const Error& error) {
        // A call of a child names the child; a call of an op names its place in this graph.
        if (call.module != Packed::kNone) throw;
        throw error.within(str_cat("calls[", i, "]"));
      }
      for (const uint32_t slot : slots_of(call.last_uses)) slots_[slot] = Value();
    }
  }

  Value outputs() {
    if (packed_.outputs.size() == 1) return slots_[packed_.outputs[0]];
    Tuple out;
    for (const uint32_t slot : packed_.outputs) out.push_back(slots_[slot]);
    return out;
  }

 private:
  std::span<const uint32_t> slots_of(const Packed::Range& range) const {
    return std::span(packed_.slot_lists).subspan(range.begin, range.count);
  }
  std::span<const Packed::Argument> arguments_of(const Packed::Range& range) const {
    return std::span(packed_.arguments).subspan(range.begin, range.count);
  }

  Value evaluate(const Packed::Argument& argument) const {
    switch (argument.kind) {
      case Operand::Kind::kConstant:
        return packed_.constants[argument.index];
      case Operand::Kind::kSlot:
        return slots_[argument.index];
      case Operand::Kind::kTraining:
        return training_;
      case Operand::Kind::kList: {
        Tuple items;
        for (const Packed::Argument& item : arguments_of(packed_.lists[argument.index]))
          items.push_back(evaluate(item));
        return items;
      }
      case Operand::Kind::kSlice: {
        const auto parts = arguments_of(packed_.lists[argument.index]);
        const auto part = [&](size_t i) -> std::optional<int64_t> {
          const Value v = i < parts.size() ? evaluate(parts[i]) : Value();
          if (v.is_none()) return std::nullopt;
          return v.integer();
        };
        return Slice{part(0), part(1), part(2)};
      }
    }
    fail_internal("no such operand");
  }

  void run_call(const Packed::Call& call) {
    if ((call.present != Packed::kNone && slots_[call.present].is_none()) ||
        (call.when != Packed::When::kAlways && (call.when == Packed::When::kTraining) != training_)) {
      for (const uint32_t slot : slots_of(call.results)) slots_[slot] = Value();
      return;
    }
    absl::InlinedVector<Value, 4> values;
    for (const Packed::Argument& argument : arguments_of(call.arguments)) values.push_back(evaluate(argument));
    Value result = call.module != Packed::kNone ? call_module(call, values) : call_op(call, values);
    const std::span<const uint32_t> results = slots_of(call.results);
    if (results.size() == 1) {
      slots_[results[0]] = std::move(result);
      return;
    }
    if (results.empty()) return;
    const Tuple& items = result.tuple();
    if (items.size() != results.size()) {
      fail("the call gives ", items.size(), " results, ", results.size(), " names are bound");
    }
    for (size_t i = 0; i < items.size(); ++i) slots_[results[i]] = items[i];
  }

  Value call_module(const Packed::Call& call, absl::InlinedVector<Value, 4>& values) const {
    Args args;
    for (size_t i = 0; i < values.size(); ++i) {
      if (i < call.positional) {
        args.positional.push_back(std::move(values[i]));
      } else {
        args.named.emplace_back(packed_.names[call.names][i - call.positional], std::move(values[i]));
      }
    }
    values.clear();
    return (*program_.modules_[call.module])(args);
  }

  Value call_op(const Packed::Call& call, const absl::InlinedVector<Value, 4>& values) const {
    const BoundCall& op = *packed_.ops[call.op];
    std::shared_ptr<const void> parsed;
    const void* attrs = nullptr;
    AttributeMap mode;
    if (call.attrs != Packed::kNone) {
      attrs = packed_.attrs[call.attrs + (call.takes_mode && training_ ? 1 : 0)].get();
    } else {
      if (call.takes_mode) mode = {{"training", Value(training_)}};
      if (op.op().call == nullptr) {
        std::vector<std::string> faults;
        parsed = op.parse(values, mode, faults);
        if (!faults.empty()) fail(faults.front());
        attrs = parsed.get();
      }
    }
    return op.run(values, attrs, mode);
  }

  const Program& program_;
  const Packed& packed_;
  const bool training_;
  std::vector<Value> slots_;
};

Value Program::run(const Args& args, bool training) const {
  Run run(*this, training);
  run.take(args);
  run.run();
  return run.outputs();
}

}  // namespace tapewire
