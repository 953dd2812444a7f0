#include "tests/conformance/replay.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <google/protobuf/repeated_ptr_field.h>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/graph/program.h"
#include "core/ops/shape_ops.h"
#include "server/codec/tensor_codec.h"
#include "server/model/definition.h"

namespace tapewire::conformance {
namespace {

using Results = google::protobuf::RepeatedPtrField<Result>;

// float64: PyTorch's own tolerance for comparing it is 1e-7.
constexpr double kRelative64 = 1e-8;
constexpr double kAbsolute64 = 1e-9;
// float32: PyTorch's own tolerance, a few units in the last place of the largest element, and three times PyTorch's
// error.
constexpr double kRelative32 = 5e-6;
constexpr double kAbsolute32 = 1e-5;
constexpr double kSpread32 = 3;

Tensor decode(const v1::Tensor& proto) { return codec::decode_tensor(v1::Tensor(proto), "case", {}); }

std::string compare(const Result& expected, const Tensor& actual, Precision precision) {
  const Tensor wanted = expected.has_tensor() ? decode(expected.tensor()) : Tensor();
  if (!wanted.defined() || !actual.defined()) {
    // No gradient is a gradient of zeros.
    const Tensor& given = wanted.defined() ? wanted : actual;
    if (!given.defined()) return {};
    const std::vector<double> values = given.to_vector<double>();
    const bool zero = std::ranges::all_of(values, [](double v) { return v == 0; });
    return zero ? "" : str_cat(wanted.defined() ? "none, expected " : "expected none, got ", to_string(given));
  }
  if (wanted.sizes() != actual.sizes()) {
    return str_cat("sizes ", to_string(actual.sizes()), ", expected ", to_string(wanted.sizes()));
  }
  const bool converted = precision == Precision::kFloat32 && is_floating(wanted.dtype()) && is_floating(actual.dtype());
  if (wanted.dtype() != actual.dtype() && !converted) {
    return str_cat("dtype ", name_of(actual.dtype()), ", expected ", name_of(wanted.dtype()));
  }
  const std::vector<double> a = actual.to_vector<double>();
  const std::vector<double> e = wanted.to_vector<double>();
  double largest = 0;
  for (const double v : e) largest = std::max(largest, std::isfinite(v) ? std::abs(v) : 0);
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]))) continue;
    double tolerance = 0;
    if (is_floating(wanted.dtype())) {
      const bool single = precision == Precision::kFloat32 || wanted.dtype() == DType::kFloat32;
      tolerance = single ? kAbsolute32 + kRelative32 * largest + kSpread32 * expected.float32_error()
                         : kAbsolute64 + kRelative64 * std::abs(e[i]);
    }
    if (!(std::abs(a[i] - e[i]) <= tolerance)) {
      return str_cat("element ", i, " is ", a[i], ", expected ", e[i], " (+- ", tolerance, ")");
    }
  }
  return {};
}

std::string compare_all(const char* what, const Results& expected, const std::vector<Tensor>& actual,
                        Precision precision) {
  if (static_cast<int>(actual.size()) != expected.size()) {
    return str_cat(actual.size(), " ", what, "s, expected ", expected.size());
  }
  for (int i = 0; i < expected.size(); ++i) {
    const std::string fault = compare(expected[i], actual[static_cast<size_t>(i)], precision);
    if (!fault.empty()) return str_cat(what, " ", i, " ", expected[i].name(), ": ", fault);
  }
  return {};
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

std::vector<NamedTensor> inputs_of(const Case& c, Precision precision) {
  std::vector<NamedTensor> out;
  for (const v1::NamedTensor& input : c.inputs()) {
    Tensor x = decode(input.tensor());
    if (precision == Precision::kFloat32 && x.dtype() == DType::kFloat64) x = to(x, DType::kFloat32);
    out.push_back({input.name(), std::move(x)});
  }
  return out;
}

Replayed replay(const Case& c, Precision precision) {
  v1::Graph graph;
  for (const v1::NamedTensor& input : c.inputs()) graph.add_inputs()->set_name(input.name());
  *graph.add_calls() = c.call();
  graph.add_outputs(c.call().results(0));
  std::vector<std::string> faults;
  const GraphDef def = to_graph(graph, {}, "case", faults);
  const Program program(def, nullptr, faults);
  throw_faults(faults);

  Args args;
  std::vector<Tensor> wanted;
  for (const NamedTensor& input : inputs_of(c, precision)) {
    const bool differentiate = std::ranges::any_of(c.grads(), [&](const Result& g) { return g.name() == input.name; });
    if (differentiate) wanted.push_back(set_requires_grad(input.tensor));
    args.positional.emplace_back(input.tensor);
  }
  Generator generator(static_cast<uint64_t>(c.seed()));
  const GeneratorScope scope(generator);
  Replayed out;
  flatten_tensors(program.run(args, true), out.outputs);
  const auto gradients = [&](int order, const std::vector<Tensor>& of, bool create_graph) {
    std::vector<Tensor> roots;
    std::vector<Tensor> weights;
    for (size_t i = 0; i < of.size(); ++i) {
      if (!of[i].defined() || !of[i].requires_grad()) continue;
      roots.push_back(of[i]);
      weights.push_back(cotangent(order, i, of[i]));
    }
    if (roots.empty()) return std::vector<Tensor>(wanted.size());
    const Tensors grads = grad(roots, wanted, weights, {.create_graph = create_graph, .allow_unused = true});
    return std::vector<Tensor>(grads.begin(), grads.end());
  };
  if (wanted.empty()) return out;
  out.grads = gradients(0, out.outputs, true);
  if (c.second_grads_size() > 0) out.second_grads = gradients(1, out.grads, false);
  return out;
}

std::string difference(const Case& c, const Replayed& replayed, Precision precision) {
  std::string fault = compare_all("output", c.outputs(), replayed.outputs, precision);
  if (fault.empty()) fault = compare_all("gradient", c.grads(), replayed.grads, precision);
  if (fault.empty()) fault = compare_all("second gradient", c.second_grads(), replayed.second_grads, precision);
  return fault;
}

}  // namespace tapewire::conformance
