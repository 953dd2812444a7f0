#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/rpc/wire_limits.h"

namespace tapewire::rpc {

/// RESOURCE_EXHAUSTED for one too large, INVALID_ARGUMENT with the place and the reason for one that is malformed or
/// beyond the contract's limits; that is found before anything is parsed (check_wire).
absl::Status parse_message(grpc::ByteBuffer& bytes, google::protobuf::Message& message, const WireLimits& limits);

/// From this size on a message counts as tensor memory while it is parsed, and an answer until it is sent.
inline constexpr size_t kCountedBytes = size_t{64} << 10;

/// RESOURCE_EXHAUSTED for an answer over the limit, that names the calls which stream.
absl::StatusOr<grpc::ByteBuffer> serialize_message(const google::protobuf::Message& message, const WireLimits& limits);
/// The serialized message, whose long fields stay where they are; gRPC keeps the message until it is sent.
grpc::ByteBuffer serialize_in_place(std::shared_ptr<const google::protobuf::Message> message);
/// As serialize_message, for an answer that nobody else needs: the bytes of its tensors are not copied once more.
template <std::derived_from<google::protobuf::Message> Response>
absl::StatusOr<grpc::ByteBuffer> serialize_message(Response&& message, const WireLimits& limits)
  requires(!std::is_const_v<Response>)
{
  const size_t size = message.ByteSizeLong();
  if (size < kCountedBytes || size > static_cast<size_t>(limits.max_message_bytes)) {
    return serialize_message(std::as_const(message), limits);
  }
  return serialize_in_place(std::make_shared<const Response>(std::forward<Response>(message)));
}

}  // namespace tapewire::rpc
