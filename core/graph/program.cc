#include "core/graph/program.h"

#include <algorithm>
#include <span>

#include "core/base/cancel.h"
#include "core/base/limit_error.h"
#include "core/base/suggest.h"
#include "core/graph/packed_program.h"

namespace tapewire {

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

size_t Program::output_count() const { return packed_->outputs.size(); }

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
        throw_within(error, str_cat("calls[", i, "]"));
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
      case OperandKind::kConstant:
        return packed_.constants[argument.index];
      case OperandKind::kSlot:
        return slots_[argument.index];
      case OperandKind::kTraining:
        return training_;
      case OperandKind::kList: {
        Tuple items;
        for (const Packed::Argument& item : arguments_of(packed_.lists[argument.index]))
          items.push_back(evaluate(item));
        return items;
      }
      case OperandKind::kSlice: {
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
