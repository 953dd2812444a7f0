#pragma once

#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "tests/conformance/cases.h"

namespace tapewire::conformance {

/// Which precision a float64 case is replayed in.
enum class Precision : uint8_t { kAsRecorded, kFloat32 };

/// What a replay gave, in the case's order. Undefined tensors where there is no gradient.
struct Replayed {
  std::vector<Tensor> outputs;
  std::vector<Tensor> grads;
  std::vector<Tensor> second_grads;
};

/// The dyadic numbers in [-1, 1) that generate.py weighs results with; of the sizes and dtype of `like`.
Tensor cotangent(int order, size_t index, const Tensor& like);

/// The case's inputs as tensors. In float32 the float64 ones are converted.
std::vector<NamedTensor> inputs_of(const Case& c, Precision precision);

/// Runs the case as a graph of one call, in this process. Errors of the engine pass through.
Replayed replay(const Case& c, Precision precision);

/// Where the replay differs from what is recorded: "output 0: element 3 is 0.1, expected 0.2 (+- 1e-9)"; empty when it
/// does not.
std::string difference(const Case& c, const Replayed& replayed, Precision precision);

}  // namespace tapewire::conformance
