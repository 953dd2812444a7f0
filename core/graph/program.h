#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/graph/definition.h"
#include "core/nn/module.h"
#include "core/ops/bound_call.h"

namespace tapewire {

/// A GraphDef made ready to run: names are slots, ops are bound, literal attributes are parsed. Each value is let go
/// after its last use. Immutable once made; runs of one Program do not share anything.
class Program {
 public:
  /// `owner` gives children, parameters and buffers; may be null for a graph over inputs alone. It must outlive this.
  /// Every fault (unknown op, name bound twice, ...) is added to `faults` as "calls[2]: ..."; a Program with faults
  /// must not run.
  Program(const GraphDef& def, Module* owner, std::vector<std::string>& faults);

  /// Positional arguments fill the inputs in order; named ones by name. One output comes as it is, several as a tuple.
  Value run(const Args& args, bool training) const;

  const std::vector<GraphInputDef>& inputs() const { return inputs_; }
  /// Whether one of its ops draws random numbers in eval mode, too.
  bool draws_in_eval() const;

 private:
  struct Operand {
    enum class Kind : uint8_t { kConstant, kSlot, kList, kSlice, kTraining };
    Kind kind = Kind::kConstant;
    size_t slot = 0;
    Value constant;
    std::vector<Operand> items;
  };
  struct Step {
    std::shared_ptr<Module> module;
    std::unique_ptr<BoundCall> op;
    // Attributes parsed beforehand where they are all literals: [0] in eval mode, [1] in training.
    std::shared_ptr<const void> attrs[2];
    bool takes_mode = false;
    std::vector<Operand> operands;
    size_t positional = 0;
    std::vector<std::string> names;
    std::vector<size_t> results;
    std::optional<size_t> present;
    std::optional<bool> training;
    std::vector<size_t> last_uses;
    std::string where;
  };
  class Compiler;

  static Value evaluate(const Operand& operand, const std::vector<Value>& slots, bool training);
  void run_step(const Step& step, std::vector<Value>& slots, bool training) const;
  static AttributeMap mode_attribute(const Step& step, bool training);

  std::vector<GraphInputDef> inputs_;
  std::vector<Step> steps_;
  std::vector<size_t> outputs_;
  std::vector<Value> initial_;  // slots: inputs first, then parameters and buffers, then results
};

}  // namespace tapewire
