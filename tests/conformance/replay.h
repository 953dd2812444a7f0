#pragma once

#include <memory>
#include <vector>

#include "core/nn/module.h"
#include "tests/conformance/compare.h"

namespace tapewire::conformance {

/// The dyadic numbers in [-1, 1) that the generators weigh results with; of the sizes and dtype of `like`.
Tensor cotangent(int order, size_t index, const Tensor& like);

/// What a case holds, as tensors. In float32 the float64 ones are converted.
Tensor tensor_of(const v1::Tensor& proto, Precision precision);
std::vector<NamedTensor> tensors_of(const google::protobuf::RepeatedPtrField<v1::NamedTensor>& protos,
                                    Precision precision);

/// Makes the case's call in this process, on a model as a definition builds it. Errors of the engine pass through.
Replayed replay(const Case& c, Precision precision);

/// The state dict that the case's modules begin with when built under its seed, in the order of its `initial`.
std::vector<Tensor> replay_initial(const Case& c);

}  // namespace tapewire::conformance
