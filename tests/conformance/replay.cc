#include "tests/conformance/replay.h"

#include <algorithm>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/shape_ops.h"
#include "server/codec/tensor_codec.h"
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
std::vector<Tensor> gradients(int order, const std::vector<Tensor>& of, const std::vector<Tensor>& wanted,
                              bool create_graph) {
  std::vector<Tensor> roots;
  std::vector<Tensor> weights;
  for (size_t i = 0; i < of.size(); ++i) {
    if (!of[i].defined() || !of[i].requires_grad()) continue;
    roots.push_back(of[i]);
    weights.push_back(cotangent(order, i, of[i]));
  }
  if (roots.empty()) return std::vector<Tensor>(wanted.size());
  const Tensors grads = grad(roots, wanted, weights, {.create_graph = create_graph, .allow_unused = true});
  return {grads.begin(), grads.end()};
}

}  // namespace

Tensor cotangent(int order, size_t index, const Tensor& like) {
  Tensor out = Tensor::empty(like.sizes(), like.dtype());
  dispatch_floating("cotangent", like.dtype(), [&]<class T>(TypeTag<T>) {
    T* values = out.mutable_data<T>();
    for (int64_t i = 0; i < out.numel(); ++i) {
      const int64_t bits = (i * 40503 + (order * 31 + static_cast<int64_t>(index)) * 9973 + 12345) % 65536;
      values[i] = static_cast<T>(bits) / 32768 - 1;
    }
  });
  return out;
}

Tensor tensor_of(const v1::Tensor& proto, Precision precision) {
  const Tensor x = codec::decode_tensor(v1::Tensor(proto), "case", {});
  return precision == Precision::kFloat32 && x.dtype() == DType::kFloat64 ? to(x, DType::kFloat32) : x;
}

std::vector<NamedTensor> tensors_of(const google::protobuf::RepeatedPtrField<v1::NamedTensor>& protos,
                                    Precision precision) {
  std::vector<NamedTensor> out;
  for (const v1::NamedTensor& proto : protos) out.push_back({proto.name(), tensor_of(proto.tensor(), precision)});
  return out;
}

Replayed replay(const Case& c, Precision precision) {
  const std::shared_ptr<Module> root = build_in(c, precision);
  if (!c.has_call()) return {};
  std::vector<NamedTensor> leaves = tensors_of(c.inputs(), precision);
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
  if (!wanted.empty()) out.grads = gradients(0, out.outputs, wanted, true);
  if (c.second_grads_size() > 0) out.second_grads = gradients(1, out.grads, wanted, false);
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
