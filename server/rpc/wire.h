#pragma once

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/rpc/wire_limits.h"

namespace tapewire::rpc {

/// RESOURCE_EXHAUSTED for one too large, INVALID_ARGUMENT with the place and the reason for one that is malformed or
/// beyond the contract's limits; that is found before anything is parsed (check_wire).
absl::Status parse_message(grpc::ByteBuffer& bytes, google::protobuf::Message& message, const WireLimits& limits);

/// RESOURCE_EXHAUSTED for an answer over the limit, that names the calls which stream.
absl::StatusOr<grpc::ByteBuffer> serialize_message(const google::protobuf::Message& message, const WireLimits& limits);

}  // namespace tapewire::rpc
