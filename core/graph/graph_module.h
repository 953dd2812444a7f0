#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/graph/program.h"
#include "core/nn/module.h"

namespace tapewire {

/// A module whose forward is data: a list of calls on its children and on ops. Register children, parameters and
/// buffers first, then compile().
class GraphModule final : public Module {
 public:
  explicit GraphModule(GraphDef forward) : def_(std::move(forward)) {}
  /// For Module::clone(). The copy is not compiled.
  GraphModule(const GraphModule& other) : Module(other), def_(other.def_) {}
  ~GraphModule() override = default;
  GraphModule& operator=(const GraphModule&) = delete;

  std::string_view type() const override { return "Graph"; }
  Value forward(const Args& args) override;

  /// Adds one line to `faults` for whatever in the graph does not fit; forward then must not be called. The definition
  /// is let go. REQUIRES: called once; children, parameters and buffers stay from then on.
  void compile(std::vector<std::string>& faults);
  const std::vector<GraphInputDef>& inputs() const { return program_ ? program_->inputs() : def_.inputs; }
  size_t output_count() const { return program_ ? program_->output_count() : def_.outputs.size(); }
  /// Whether an op of its own draws random numbers in eval mode, too. REQUIRES: compiled.
  bool draws_in_eval() const { return program_->draws_in_eval(); }

 protected:
  std::shared_ptr<Module> copy() const override;

 private:
  GraphDef def_;  // until it is compiled
  std::optional<Program> program_;
};

}  // namespace tapewire
