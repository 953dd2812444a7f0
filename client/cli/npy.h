#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

/// The array of a NumPy .npy file (format versions 1 to 3): little-endian float32, float64, int64, int32, uint8 or bool
/// in C order. `name` stands for the file in errors, which are INVALID_ARGUMENT.
absl::StatusOr<v1::Tensor> parse_npy(std::string_view content, const std::string& name);

}  // namespace tapewire::client
