#include "server/rpc/wire.h"

#include <limits>
#include <vector>

#include "core/base/strings.h"
#include "google/protobuf/io/coded_stream.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "grpcpp/support/slice.h"
#include "server/rpc/parse_failure.h"

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

std::string flatten(const grpc::ByteBuffer& bytes) {
  std::string flat;
  std::vector<grpc::Slice> slices;
  if (!bytes.Dump(&slices).ok()) return flat;
  flat.reserve(bytes.Length());
  for (const grpc::Slice& slice : slices) flat.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return flat;
}

}  // namespace

absl::Status parse_message(grpc::ByteBuffer& bytes, google::protobuf::Message& message, const WireLimits& limits) {
  const auto size = static_cast<int64_t>(bytes.Length());
  if (size > limits.max_message_bytes) {
    return absl::ResourceExhaustedError(str_cat("a message of ", size, " bytes came; --max_message_bytes=",
                                                limits.max_message_bytes, " is the most. Larger tensors go in chunks"));
  }
  if (size == 0) {
    message.Clear();
    return absl::OkStatus();
  }
  if (parse(bytes, message, limits.max_depth)) return absl::OkStatus();
  std::string fault = describe_parse_failure(flatten(bytes), *message.GetDescriptor(), limits.max_depth);
  if (fault.empty()) fault = str_cat("the request does not parse as ", message.GetTypeName());
  return absl::InvalidArgumentError(fault);
}

absl::StatusOr<grpc::ByteBuffer> serialize_message(const google::protobuf::Message& message, const WireLimits& limits) {
  const size_t size = message.ByteSizeLong();
  if (size > static_cast<size_t>(limits.max_message_bytes)) {
    return absl::ResourceExhaustedError(str_cat("the answer has ", size,
                                                " bytes; --max_message_bytes=", limits.max_message_bytes,
                                                " is the most. ReadState and ReadGradients stream tensors in chunks"));
  }
  grpc::Slice slice(size);
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace tapewire::rpc
