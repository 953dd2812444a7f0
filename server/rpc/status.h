#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace tapewire::rpc {

/// The one place that makes a gRPC status. What the engine throws comes here through caught_status(). A message longer
/// than gRPC's trailers carry is cut in the middle.
grpc::Status to_grpc(const absl::Status& status);

}  // namespace tapewire::rpc
