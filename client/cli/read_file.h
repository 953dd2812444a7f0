#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace tapewire::client {

/// The whole content of a file, unpacked if it is gzipped. Errors name the path: NOT_FOUND or PERMISSION_DENIED if it
/// cannot be opened, DATA_LOSS if it is a broken gzip file, RESOURCE_EXHAUSTED beyond `max_bytes` unpacked.
absl::StatusOr<std::string> read_data_file(const std::string& path, size_t max_bytes = size_t{4} << 30);

}  // namespace tapewire::client
