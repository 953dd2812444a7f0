#include "tests/conformance/replay.h"

#include <algorithm>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "server/model/build.h"
#include "tests/conformance/definition.h"

namespace tapewire::conformance {
namespace {

const Tensor& find(const std::vector<NamedTensor>& tensors, const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
  if (found == tensors.end()) fail("the model has no ", quoted(name));
  return found->tensor;
}

std::shared_ptr<Module> build_in(const Case& c, Precision precision) {
  const std::shared_ptr<Module> root = build_modules(definition_of(c), {});
  root->to(precision == Precision::kAsRecorded ? DType::kFloat64 : DType::kFloat32);
  if (c.state_size() > 0) root->load_state_dict(tensors_of(c.state(), precision));
  root->train(!c.evaluating());
  return root;
}

// The gradients by `wanted` of the weighed sum of what needs one.
std::vector<Tensor> gradients(Order order, const std::vector<Tensor>& of, const std::vector<Tensor>& wanted,
                              bool create_graph) {
  std::vector<Tensor> roots;
  std::vector<Tensor> weights;
  for (size_t i = 0; i < of.size(); ++i) {
    if (!of[i].defined() || !of[i].requires_grad()) continue;
    roots.push_back(of[i]);
    weights.push_back(cotangent(order, i, of[i].spec()));
  }
  if (roots.empty()) return std::vector<Tensor>(wanted.size());
  const Tensors grads = grad(roots, wanted, weights, {.create_graph = create_graph, .allow_unused = true});
  return {grads.begin(), grads.end()};
}

}  // namespace

Replayed replay(const Case& c, Precision precision) {
  const std::shared_ptr<Module> root = build_in(c, precision);
  if (!c.has_call()) return {};
  std::vector<NamedTensor> leaves = inputs_of(c, precision);
  Args args;
  for (const NamedTensor& input : leaves) {
    if (std::ranges::find(c.grads(), input.name, &Result::name) != c.grads().end()) set_requires_grad(input.tensor);
    args.positional.emplace_back(input.tensor);
  }
  std::ranges::copy(root->named_parameters(), std::back_inserter(leaves));
  std::vector<Tensor> wanted;
  for (const Result& gradient : c.grads()) wanted.push_back(find(leaves, gradient.name()));

  Generator generator(static_cast<uint64_t>(c.seed()));
  const GeneratorScope scope(generator);
  Replayed out;
  flatten_tensors((*root)(args), out.outputs);
  if (!wanted.empty()) out.grads = gradients(Order::kFirst, out.outputs, wanted, true);
  if (c.second_grads_size() > 0) out.second_grads = gradients(Order::kSecond, out.grads, wanted, false);
  for (const Result& buffer : c.buffers()) out.buffers.push_back(find(root->named_buffers(), buffer.name()));
  return out;
}

std::vector<Tensor> replay_initial(const Case& c) {
  Generator generator(static_cast<uint64_t>(c.seed()));
  const GeneratorScope scope(generator);
  const StateDict state = build_modules(definition_of(c), {})->state_dict();
  std::vector<Tensor> out;
  for (const v1::NamedTensor& entry : c.initial()) out.push_back(find(state, entry.name()));
  return out;
}

}  // namespace tapewire::conformance
