#include "server/model/signature.h"

#include <algorithm>

#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/graph/graph_module.h"

namespace tapewire {
namespace {

constexpr size_t kMostUndeclared = 64;  // inputs of a root that names none

std::string numbered(std::string_view base, size_t i) { return i == 0 ? std::string(base) : str_cat(base, "_", i); }

}  // namespace

ModelSignature::ModelSignature(const ModelParts& parts) : inputs_(parts.inputs), outputs_(parts.outputs) {
  if (const auto* graph = dynamic_cast<const GraphModule*>(parts.root.get())) {
    is_graph_ = true;
    for (const GraphInputDef& in : graph->inputs()) root_inputs_.push_back({in.name, in.optional});
  }
  if (!inputs_.empty()) {
    for (size_t i = 0; i < inputs_.size(); ++i) places_.emplace(inputs_[i].name, i);
    return;
  }
  // Undeclared: by the graph's own names, and as input, input_1, ...
  for (size_t i = 0; i < root_inputs_.size(); ++i) places_.emplace(root_inputs_[i].name, i);
  const size_t count = is_graph_ ? root_inputs_.size() : kMostUndeclared;
  for (size_t i = 0; i < count; ++i) places_.emplace(numbered("input", i), i);
}

size_t ModelSignature::place_of(const std::string& name, const std::string& where) const {
  if (const auto found = places_.find(name); found != places_.end()) return found->second;
  std::vector<std::string_view> known;
  for (const PortSpec& port : inputs_) known.push_back(port.name);
  if (known.empty()) {
    for (const Input& in : root_inputs_) known.push_back(in.name);
  }
  fail(where, ": the model has no input ", quoted(name), did_you_mean(name, known),
       known.empty() && !is_graph_ ? "; undeclared ones are input, input_1, ..." : "");
}

Args ModelSignature::arguments(const std::vector<NamedTensor>& inputs, const std::vector<std::string>& require_grad,
                               std::vector<NamedTensor>* named) const {
  Args args;
  std::vector<std::string> grads = require_grad;
  std::vector<bool> given;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string where = str_cat("inputs[", i, "]");
    std::string name = inputs[i].name;
    size_t place = 0;
    if (name.empty()) {
      place = i;
      const size_t most = !inputs_.empty() ? inputs_.size() : is_graph_ ? root_inputs_.size() : kMostUndeclared;
      if (place >= most) fail(where, ": has no name, and the model takes ", most, most == 1 ? " input" : " inputs");
      name = place < inputs_.size() ? inputs_[place].name : numbered("input", place);
    } else {
      place = place_of(name, where);
    }
    const Tensor& x = inputs[i].tensor;
    if (place < inputs_.size() && !inputs_[place].fits(x)) {
      fail(where, " ", quoted(name), ": expected ", inputs_[place].to_string(), ", got ", to_string(x.spec()));
    }
    if (const auto found = std::ranges::find(grads, name); found != grads.end()) {
      grads.erase(found);
      if (!is_floating(x.dtype())) {
        fail("inputs_require_grad: input ", quoted(name), " is ", name_of(x.dtype()),
             "; only floating ones can require gradients");
      }
      set_requires_grad(x);
    }
    if (named != nullptr) named->push_back({name, x});
    if (args.positional.size() <= place) {
      args.positional.resize(place + 1);
      given.resize(place + 1);
    }
    if (given[place]) fail(where, ": input ", quoted(name), " is given twice");
    given[place] = true;
    args.positional[place] = x;
  }
  if (!grads.empty()) fail("inputs_require_grad: ", quoted(grads[0]), " names no input of this call");
  for (size_t i = 0; i < given.size(); ++i) {
    const bool optional = i < root_inputs_.size() && root_inputs_[i].optional;
    if (given[i] || optional) continue;
    fail("inputs: ", quoted(i < inputs_.size() ? inputs_[i].name : numbered("input", i)), " is missing");
  }
  return args;
}

std::vector<NamedTensor> ModelSignature::name_outputs(const Value& output) const {
  std::vector<Tensor> tensors;
  flatten_tensors(output, tensors);
  std::vector<NamedTensor> out;
  if (tensors.size() < outputs_.size()) {
    fail("outputs: the definition declares ", outputs_.size(), ", the model put out ", tensors.size());
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i >= outputs_.size()) {
      out.push_back({numbered("output", i), tensors[i]});
      continue;
    }
    const PortSpec& port = outputs_[i];
    if (!port.fits(tensors[i])) {
      fail("outputs[", i, "] ", quoted(port.name), ": the definition declares ", port.to_string(),
           ", the model put out ", to_string(tensors[i].spec()));
    }
    out.push_back({port.name, tensors[i]});
  }
  return out;
}

}  // namespace tapewire
