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
/// after its last use. Immutable once made; runs of one Program do not share anything. What does not depend on the
/// owner is shared by all programs made of one definition, and holds nothing of the definition but what a run reads.
class Program {
 public:
  /// `owner` gives children, parameters and buffers; may be null for a graph over inputs alone. It must outlive this
  /// and keep them: a Program owns no module. Every fault (unknown op, name bound twice, ...) is added to `faults` as
  /// "calls[2]: ..."; a Program with faults must not run.
  Program(const GraphDef& def, Module* owner, std::vector<std::string>& faults);
  /// The same graph for another owner, which has children, parameters and buffers of the same names: a clone.
  Program(const Program& other, Module& owner);

  /// Positional arguments fill the inputs in order; named ones by name. One output comes as it is, several as a tuple.
  Value run(const Args& args, bool training) const;

  const std::vector<GraphInputDef>& inputs() const;
  size_t output_count() const;
  /// Whether one of its ops draws random numbers in eval mode, too.
  bool draws_in_eval() const;

 private:
  struct Operand;
  struct Step;
  struct Packed;
  class Compiler;
  class Packer;
  class Run;

  static Value evaluate(const Operand& operand);

  std::shared_ptr<const Packed> packed_;
  std::vector<Module*> modules_;   // by Packed's index
  std::vector<Tensor> constants_;  // the owner's parameters and buffers, in the slots behind the inputs
};

}  // namespace tapewire
