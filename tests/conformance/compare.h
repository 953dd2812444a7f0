#pragma once

#include <string>
#include <vector>

#include "tests/conformance/recorded.h"

namespace tapewire::conformance {

/// What a replay gave, in the case's order. Undefined tensors where there is no gradient.
struct Replayed {
  std::vector<Tensor> outputs;
  std::vector<Tensor> grads;
  std::vector<Tensor> second_grads;
  std::vector<Tensor> buffers;
};

/// Where the replay differs from what is recorded: "output 0: element 3 is 0.1, expected 0.2 (+- 1e-9)"; empty when it
/// does not.
std::string difference(const Case& c, const Replayed& replayed, Precision precision);
/// The same for first values, in the order of the case's `initial`.
std::string initial_difference(const Case& c, const std::vector<Tensor>& values);

}  // namespace tapewire::conformance
