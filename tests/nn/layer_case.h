#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/nn/registry.h"
#include "core/ops/arithmetic.h"
#include "tests/nn/support.h"

namespace tapewire {

/// A layer by name and attributes and what PyTorch makes of it, in float64; written by generate_layer_values.py.
struct LayerCase {
  struct Output {
    std::vector<int64_t> shape;
    std::vector<double> values;
  };
  const char* name;
  const char* type;
  AttributeMap attributes;
  std::vector<Shape> inputs;
  bool training;
  const char* repr;
  std::vector<std::string> state_keys;
  std::vector<Output> outputs;
  std::vector<std::vector<double>> grads;    // of the inputs, then of the parameters
  std::vector<std::vector<double>> buffers;  // after the call
};

inline std::ostream& operator<<(std::ostream& out, const LayerCase& c) { return out << c.name; }

/// A module of the registry. Throws all faults of its attributes in one Error.
inline std::shared_ptr<Module> make_module(std::string_view type, const AttributeMap& attributes) {
  std::vector<std::string> faults;
  std::shared_ptr<Module> module = require_module(type, ModuleKind::kModule).make(attributes, faults);
  std::string all;
  for (const std::string& fault : faults) all += str_cat(all.empty() ? "" : "; ", fault);
  if (!module) fail(all);
  return module;
}

/// The case's module in float64, with the generator's patterns in parameters and running statistics.
inline std::shared_ptr<Module> make_module(const LayerCase& c) {
  std::shared_ptr<Module> module = make_module(c.type, c.attributes);
  module->to(DType::kFloat64);
  module->train(c.training);
  StateDict state;
  for (const NamedTensor& p : module->named_parameters()) {
    state.push_back({p.name, pattern(p.tensor.sizes(), 5, static_cast<int64_t>(state.size()) + 1)});
  }
  int64_t n = 0;
  for (const NamedTensor& b : module->named_buffers()) {
    if (is_floating(b.tensor.dtype())) {
      const Tensor values = pattern(b.tensor.sizes(), 3, n);
      state.push_back({b.name, add(mul(values, values), 1.0)});
    }
    ++n;
  }
  module->load_state_dict(state, false);
  return module;
}

inline std::vector<Tensor> make_inputs(const LayerCase& c) {
  std::vector<Tensor> out;
  for (const Shape& sizes : c.inputs) out.push_back(pattern(sizes, 7 + 4 * static_cast<int64_t>(out.size())));
  return out;
}

/// Draws as the generator does, and gives all outputs. The inputs are multiplied by 1 first, so that they may be leaves
/// of a module that works in place.
inline std::vector<Tensor> call(Module& module, const std::vector<Tensor>& inputs) {
  manual_seed(7);
  Args args;
  for (const Tensor& x : inputs) args.positional.emplace_back(mul(x, 1.0));
  std::vector<Tensor> out;
  flatten_tensors(module(args), out);
  return out;
}

}  // namespace tapewire
