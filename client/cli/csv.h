#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

/// The numbers of a comma-separated file as a float64 tensor [rows, columns]. A first line that is no numbers is a
/// header and is skipped, as are blank lines. `name` stands for the file in errors: INVALID_ARGUMENT "name:line: ...".
absl::StatusOr<v1::Tensor> parse_csv(std::string_view content, const std::string& name);

}  // namespace tapewire::client
