#include "tests/conformance/definition.h"

namespace tapewire::conformance {

v1::ModelSpec definition_of(const Case& c) {
  v1::ModelSpec spec;
  v1::ModuleSpec& root = *spec.add_modules();
  root.set_type("Graph");
  v1::Graph& forward = *root.mutable_forward();
  for (const v1::NamedTensor& input : c.inputs()) forward.add_inputs()->set_name(input.name());
  if (c.has_call()) {
    *forward.add_calls() = c.call();
    forward.add_outputs(c.call().results(0));
  } else {  // a graph gives something
    forward.add_inputs()->set_name("input");
    forward.add_outputs("input");
  }
  spec.mutable_modules()->MergeFrom(c.modules());
  return spec;
}

}  // namespace tapewire::conformance
