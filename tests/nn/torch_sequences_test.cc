#include <cmath>
#include <cstring>
#include <span>

// The modules of sequences against the numbers of generate_torch_sequences.py.

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/random.h"
#include "core/nn/transformer.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/reduction.h"
#include "gtest/gtest.h"
#include "tests/nn/layer_case.h"
#include "tests/nn/recorded.h"

namespace tapewire {
namespace {

using recorded::SequenceCase;
using recorded::Sums;

double dot(const Tensor& x, const Tensor& y) {
  const std::vector<double> a = x.to_vector<double>();
  const std::vector<double> b = y.to_vector<double>();
  double out = 0;
  for (size_t i = 0; i < a.size(); ++i) out += a[i] * b[i];
  return out;
}

void expect_sums(const Tensor& got, const Sums& expected, const std::string& what) {
  ASSERT_TRUE(got.defined()) << what;
  ASSERT_EQ(std::vector<int64_t>(got.sizes().begin(), got.sizes().end()), expected.sizes) << what;
  const double sums[] = {dot(got, pattern(got.sizes(), 3, 1)), dot(got, pattern(got.sizes(), 5, 2)), dot(got, got)};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(sums[i], expected.sums[i], 1e-11 * (1 + std::abs(expected.sums[i]))) << what << ", sum " << i;
  }
}

void expect_all_sums(const std::vector<Tensor>& got, const std::vector<Sums>& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) expect_sums(got[i], expected[i], str_cat(what, " ", i));
}

// The first key is always seen.
Tensor bool_mask(const Shape& sizes) {
  const Tensor out = gt(pattern(sizes, 5, 0), 0.2);
  for (int64_t i = 0; i < out.numel(); i += sizes.back()) out.mutable_data<bool>()[i] = false;
  return out;
}

Tensor make_input(const SequenceCase::Input& input, int64_t index, DType dtype) {
  const Shape sizes(input.sizes.begin(), input.sizes.end());
  if (input.kind == "bool") return bool_mask(sizes);
  if (input.kind == "float") return pattern(sizes, 5, 1, dtype);
  if (input.kind == "tensor") return set_requires_grad(to(mul(pattern(sizes, 7, index + 3), 0.9), dtype));
  const Tensor square = Transformer::generate_square_subsequent_mask(sizes[1], dtype);
  return contiguous(square.alias({sizes, square.strides(), 0}));
}

// The sum of all elements times patterns, of which each tensor has another.
Tensor weighted_sum(const std::vector<Tensor>& tensors, int64_t factor, int64_t first) {
  Tensor out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor weights = pattern(tensors[i].sizes(), factor, first + static_cast<int64_t>(i));
    const Tensor one = sum(mul(tensors[i], weights));
    out = out.defined() ? add(out, one) : one;
  }
  return out;
}

std::vector<Tensor> gradients(const Tensor& of, const std::vector<Tensor>& leaves, bool create_graph) {
  const Tensors found = grad(std::span(&of, 1), leaves, {}, {.create_graph = create_graph, .allow_unused = true});
  std::vector<Tensor> out(found.begin(), found.end());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!out[i].defined()) out[i] = Tensor::zeros(leaves[i].sizes(), leaves[i].dtype());
  }
  return out;
}

// FNV-1a of the bytes.
uint64_t fingerprint(const Tensor& x) {
  uint64_t out = 0xCBF29CE484222325u;
  for (const float value : x.to_vector<float>()) {
    unsigned char bytes[sizeof(float)];
    std::memcpy(bytes, &value, sizeof(float));
    for (const unsigned char byte : bytes) out = (out ^ byte) * 0x100000001B3u;
  }
  return out;
}

// The case's module with pattern weights.
std::shared_ptr<Module> patterned_module(const SequenceCase& c, DType dtype) {
  std::shared_ptr<Module> module = make_module(c.type, c.attributes);
  module->to(DType::kFloat64);
  StateDict state;
  for (const NamedTensor& p : module->named_parameters()) {
    const auto i = static_cast<int64_t>(state.size());
    state.push_back({p.name, mul(pattern(p.tensor.sizes(), 5, i + 1), 0.3 + 0.01 * static_cast<double>(i))});
  }
  module->load_state_dict(state);
  module->to(dtype);
  module->train(c.training);
  return module;
}

// What the case's call gives: the tensors in it, depth first. `leaves` takes the inputs that are differentiated.
std::vector<Tensor> call(const SequenceCase& c, Module& module, DType dtype, std::vector<Tensor>& leaves) {
  Args args;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const SequenceCase::Input& input = c.inputs[i];
    const Tensor x = make_input(input, static_cast<int64_t>(i), dtype);
    if (x.requires_grad()) leaves.push_back(x);
    if (!args.named.empty() && args.named.back().first == input.name) {
      args.named.back().second = Tuple{args.named.back().second, x};
    } else {
      args.named.emplace_back(input.name, x);
    }
  }
  for (const auto& [name, flag] : c.flags) args.named.emplace_back(name, flag);
  if (c.seed >= 0) manual_seed(static_cast<uint64_t>(c.seed));
  std::vector<Tensor> out;
  flatten_tensors(module(args), out);
  return out;
}

class SequenceTorchTest : public testing::TestWithParam<SequenceCase> {};

// Outputs, gradients and gradients of gradients, in float64.
TEST_P(SequenceTorchTest, ComputesWhatPyTorchDoes) {
  const SequenceCase& c = GetParam();
  const std::shared_ptr<Module> module = patterned_module(c, DType::kFloat64);
  std::vector<Tensor> leaves;
  const std::vector<Tensor> outputs = call(c, *module, DType::kFloat64, leaves);
  for (const NamedTensor& p : module->named_parameters()) leaves.push_back(p.tensor);
  expect_all_sums(outputs, c.outputs, "output");
  const std::vector<Tensor> first = gradients(weighted_sum(outputs, 3, 1), leaves, /*create_graph=*/true);
  expect_all_sums(first, c.first, "gradient");
  expect_all_sums(gradients(weighted_sum(first, 5, 0), leaves, /*create_graph=*/false), c.second, "second gradient");
}

// Bit for bit, and the generator after them, too.
TEST_P(SequenceTorchTest, StartsWithPyTorchsWeights) {
  const SequenceCase& c = GetParam();
  Generator generator(5);
  const GeneratorScope scope(generator);
  const StateDict state = make_module(c.type, c.attributes)->state_dict();
  ASSERT_EQ(state.size(), c.fingerprints.size());
  for (size_t i = 0; i < state.size(); ++i) EXPECT_EQ(fingerprint(state[i].tensor), c.fingerprints[i]) << state[i].name;
  EXPECT_EQ(generator.uniform_double(), c.next_draw);
}

// Within rounding; dropout draws the same for both.
TEST_P(SequenceTorchTest, Float32FollowsFloat64) {
  const SequenceCase& c = GetParam();
  std::vector<std::vector<double>> values[2];
  for (const DType dtype : {DType::kFloat64, DType::kFloat32}) {
    const std::shared_ptr<Module> module = patterned_module(c, dtype);
    std::vector<Tensor> leaves;
    const std::vector<Tensor> outputs = call(c, *module, dtype, leaves);
    for (const NamedTensor& p : module->named_parameters()) leaves.push_back(p.tensor);
    for (const Tensor& x : outputs) values[dtype == DType::kFloat32].push_back(x.to_vector<double>());
    Tensor loss;
    for (const Tensor& x : outputs) loss = loss.defined() ? add(loss, sum(mul(x, x))) : sum(mul(x, x));
    for (const Tensor& g : gradients(loss, leaves, false)) {
      EXPECT_EQ(g.dtype(), dtype);
      values[dtype == DType::kFloat32].push_back(g.to_vector<double>());
    }
  }
  for (size_t i = 0; i < values[0].size(); ++i) {
    for (size_t j = 0; j < values[0][i].size(); ++j) {
      EXPECT_NEAR(values[1][i][j], values[0][i][j], 2e-5 * (1 + std::abs(values[0][i][j]))) << i << ", " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, SequenceTorchTest, testing::ValuesIn(recorded::sequence_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tapewire
