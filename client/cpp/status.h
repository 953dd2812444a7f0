#pragma once

#include <string>

#include "absl/status/status.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace tapewire::client {

/// The same code and message as an absl::Status; gRPC's codes and Abseil's are the same numbers.
absl::Status to_status(const grpc::Status& status);

/// `status` with `context` and ": " in front of its message; OK stays OK.
absl::Status annotate(const absl::Status& status, const std::string& context);

}  // namespace tapewire::client
