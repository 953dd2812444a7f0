#pragma once

#include <vector>

#include "tests/conformance/compare.h"

namespace tapewire::conformance {

/// Makes the case's call in this process, on a model as a definition builds it. Errors of the engine pass through.
Replayed replay(const Case& c, Precision precision);

/// The state dict that the case's modules begin with when built under its seed, in the order of its `initial`.
std::vector<Tensor> replay_initial(const Case& c);

}  // namespace tapewire::conformance
