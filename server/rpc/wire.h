#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"

namespace tapewire::rpc {

/// At what size and depth a message is refused. See --max_message_bytes.
struct WireLimits {
  int64_t max_message_bytes = int64_t{64} << 20;
  int max_depth = 100;  // messages within messages
};

/// RESOURCE_EXHAUSTED for one too large, INVALID_ARGUMENT with the place and the reason for one that does not parse.
absl::Status parse_message(grpc::ByteBuffer& bytes, google::protobuf::Message& message, const WireLimits& limits);

/// RESOURCE_EXHAUSTED for an answer over the limit, that names the calls which stream.
absl::StatusOr<grpc::ByteBuffer> serialize_message(const google::protobuf::Message& message, const WireLimits& limits);

}  // namespace tapewire::rpc
