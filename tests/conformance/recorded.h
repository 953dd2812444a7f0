#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor/tensor.h"
#include "tests/conformance/cases.h"

// What a case holds, as tensors: both replays read it through here.

namespace tapewire::conformance {

/// Which precision a float64 case is replayed in: in float32, its tensors of float64 are converted.
enum class Precision : uint8_t { kAsRecorded, kFloat32 };

/// What cotangent() makes. recording.py has the same.
enum class Order : uint8_t { kFirst, kSecond, kInput, kSum };

/// The dyadic numbers in [-1, 1) that results are weighed with, and that large inputs consist of.
Tensor cotangent(Order order, size_t index, const TensorSpec& spec);

Tensor tensor_of(const v1::Tensor& proto, Precision precision);
std::vector<NamedTensor> tensors_of(const google::protobuf::RepeatedPtrField<v1::NamedTensor>& protos,
                                    Precision precision);

/// What the case is called with.
std::vector<NamedTensor> inputs_of(const Case& c, Precision precision);

/// The sizes and dtype of a result that there is, large or not.
TensorSpec spec_of(const Result& result, Precision precision);

}  // namespace tapewire::conformance
