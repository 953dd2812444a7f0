#include "server/rpc/wire.h"

#include <limits>

#include "core/base/strings.h"
#include "google/protobuf/io/coded_stream.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "grpcpp/support/slice.h"
#include "server/model/rejection.h"
#include "server/rpc/wire_check.h"

namespace tapewire::rpc {
namespace {

bool parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message, int max_depth) {
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok()) return false;
  google::protobuf::io::CodedInputStream input(&reader);
  input.SetTotalBytesLimit(std::numeric_limits<int>::max());
  input.SetRecursionLimit(max_depth);
  return message.ParseFromCodedStream(&input) && input.ConsumedEntireMessage();
}

}  // namespace

absl::Status parse_message(grpc::ByteBuffer& bytes, google::protobuf::Message& message, const WireLimits& limits) {
  const auto size = static_cast<int64_t>(bytes.Length());
  if (size > limits.max_message_bytes) {
    return limit_status("max_message_bytes",
                        str_cat("a message of ", size, " bytes came; --max_message_bytes=", limits.max_message_bytes,
                                " is the most. Larger tensors go in chunks"));
  }
  if (size == 0) {
    message.Clear();
    return absl::OkStatus();
  }
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok()) return absl::InvalidArgumentError("the request cannot be decompressed");
  const WireCheck check = check_wire(reader, size, *message.GetDescriptor(), limits);
  if (!check.fault.empty()) return absl::InvalidArgumentError(check.fault);
  if (parse(bytes, message, limits.max_depth)) return absl::OkStatus();
  return absl::InvalidArgumentError(str_cat("the request does not parse as ", message.GetTypeName()));
}

absl::StatusOr<grpc::ByteBuffer> serialize_message(const google::protobuf::Message& message, const WireLimits& limits) {
  const size_t size = message.ByteSizeLong();
  if (size > static_cast<size_t>(limits.max_message_bytes)) {
    return limit_status("max_message_bytes",
                        str_cat("the answer has ", size, " bytes; --max_message_bytes=", limits.max_message_bytes,
                                " is the most. ReadState and ReadGradients stream tensors in chunks"));
  }
  grpc::Slice slice(size);
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace tapewire::rpc
