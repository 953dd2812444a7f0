#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

/// The array of an IDX file (the format of the MNIST files, http://yann.lecun.com/exdb/mnist): uint8, int32, float32 or
/// float64. `name` stands for the file in errors, which are INVALID_ARGUMENT.
absl::StatusOr<v1::Tensor> parse_idx(std::string_view content, const std::string& name);

}  // namespace tapewire::client
