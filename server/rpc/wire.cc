#include "server/rpc/wire.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/tensor/allocator.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "grpcpp/support/slice.h"
#include "server/observe/memory_guard.h"
#include "server/observe/rejection.h"
#include "server/rpc/wire_check.h"

namespace tapewire::rpc {
namespace {

// Reads a message and lets go of its bytes on the way, some megabyte at a time, so that a large one is not held twice.
class ConsumingReader final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  /// Takes the bytes out of `bytes`. Only gRPC's own buffers may let go of slices that its quota counts: a slice alone
  /// would do so outside of gRPC's execution context.
  explicit ConsumingReader(grpc::ByteBuffer& bytes) {
    constexpr size_t kGroupBytes = size_t{1} << 20;
    std::vector<grpc::Slice> slices;
    if (!bytes.Dump(&slices).ok()) return;
    for (size_t begin = 0; begin < slices.size();) {
      size_t end = begin;
      for (size_t size = 0; end < slices.size() && size < kGroupBytes; ++end) {
        size += slices[end].size();
        // The bytes of a short slice lie in the slice itself.
        constexpr size_t kShort = 64;
        const uint8_t* data = slices[end].begin();
        if (slices[end].size() <= kShort) {
          data = reinterpret_cast<const uint8_t*>(short_.emplace_back(data, slices[end].end()).data());
        }
        pieces_.push_back({data, slices[end].size(), groups_.size()});
      }
      groups_.emplace_back(&slices[begin], end - begin);
      begin = end;
    }
    bytes.Clear();
  }

  bool Next(const void** data, int* size) override {
    if (left_ == 0) {
      if (next_ > 0 && (next_ == pieces_.size() || pieces_[next_].group != pieces_[next_ - 1].group)) {
        groups_[pieces_[next_ - 1].group].Clear();
      }
      if (next_ == pieces_.size()) return false;
      left_ = pieces_[next_++].size;
    }
    const Piece& piece = pieces_[next_ - 1];
    *data = piece.begin + (piece.size - left_);
    *size = static_cast<int>(left_);
    count_ += static_cast<int64_t>(left_);
    left_ = 0;
    return true;
  }
  void BackUp(int count) override {
    left_ = static_cast<size_t>(count);
    count_ -= count;
  }
  bool Skip(int count) override {
    const void* data = nullptr;
    int size = 0;
    while (count > 0 && Next(&data, &size)) {
      if (size > count) BackUp(size - count);
      count -= std::min(size, count);
    }
    return count == 0;
  }
  int64_t ByteCount() const override { return count_; }

 private:
  struct Piece {
    const uint8_t* begin;
    size_t size;
    size_t group;
  };

  std::vector<grpc::ByteBuffer> groups_;
  std::vector<Piece> pieces_;
  std::deque<std::string> short_;
  size_t next_ = 0;  // the first piece that was not given out
  size_t left_ = 0;  // of the one before it
  int64_t count_ = 0;
};

// Writes slices of its own, and such that point into a message that they keep.
class InPlaceWriter final : public google::protobuf::io::ZeroCopyOutputStream {
 public:
  explicit InPlaceWriter(std::shared_ptr<const google::protobuf::Message> message) : message_(std::move(message)) {}

  bool Next(void** data, int* size) override {
    finish();
    constexpr size_t kOwnBytes = 4096;
    own_ = grpc::Slice(kOwnBytes);
    used_ = kOwnBytes;
    count_ += static_cast<int64_t>(kOwnBytes);
    *data = const_cast<uint8_t*>(own_.begin());
    *size = static_cast<int>(kOwnBytes);
    return true;
  }
  void BackUp(int count) override {
    used_ -= static_cast<size_t>(count);
    count_ -= count;
  }
  int64_t ByteCount() const override { return count_; }
  bool AllowsAliasing() const override { return true; }
  bool WriteAliasedRaw(const void* data, int size) override {
    finish();
    using Keep = std::shared_ptr<const google::protobuf::Message>;
    slices_.emplace_back(
        const_cast<void*>(data), static_cast<size_t>(size), [](void* keep) { delete static_cast<Keep*>(keep); },
        std::make_unique<Keep>(message_).release());
    count_ += size;
    return true;
  }

  grpc::ByteBuffer buffer() {
    finish();
    return grpc::ByteBuffer(slices_.data(), slices_.size());
  }

 private:
  void finish() {
    if (used_ > 0) slices_.push_back(own_.sub(0, used_));
    used_ = 0;
  }

  std::shared_ptr<const google::protobuf::Message> message_;
  std::vector<grpc::Slice> slices_;
  grpc::Slice own_;
  size_t used_ = 0;  // of own_
  int64_t count_ = 0;
};

bool parse(google::protobuf::io::ZeroCopyInputStream& reader, google::protobuf::Message& message, int max_depth) {
  google::protobuf::io::CodedInputStream input(&reader);
  input.SetTotalBytesLimit(std::numeric_limits<int>::max());
  input.SetRecursionLimit(max_depth);
  return message.ParseFromCodedStream(&input) && input.ConsumedEntireMessage();
}

bool parse(grpc::ByteBuffer& bytes, google::protobuf::Message& message, int max_depth) {
  grpc::ProtoBufferReader reader(&bytes);
  return reader.status().ok() && parse(reader, message, max_depth);
}

absl::Status unparsable(const google::protobuf::Message& message) {
  return absl::InvalidArgumentError(str_cat("the request does not parse as ", message.GetTypeName()));
}

// Before the message is parsed, and with nothing built of it: what the contract's limits say.
absl::Status check(grpc::ByteBuffer& bytes, const google::protobuf::Message& message, const WireLimits& limits) {
  grpc::ProtoBufferReader reader(&bytes);
  if (!reader.status().ok()) return absl::InvalidArgumentError("the request cannot be decompressed");
  const auto size = static_cast<int64_t>(bytes.Length());
  const WireCheck found = check_wire(reader, size, *message.GetDescriptor(), limits);
  return found.fault.empty() ? absl::OkStatus() : absl::InvalidArgumentError(found.fault);
}

// What such a message takes counts while it is parsed; then what is made of it does.
absl::Status parse_large(grpc::ByteBuffer& bytes, google::protobuf::Message& message, const WireLimits& limits) {
  // protobuf doubles a string that is longer than this, as it reads it.
  constexpr size_t kGrows = 50'000'000;
  const size_t size = bytes.Length();
  const size_t takes = size > kGrows ? 2 * size : size;
  if (limits.memory != nullptr) {
    if (absl::Status refused = limits.memory->admit(takes); !refused.ok()) {
      return limit_status("tensor_memory_limit", to_std(refused.message()));
    }
  }
  AdoptedCount count;
  try {
    count.add(takes);
  } catch (const Error& error) {
    return limit_status("tensor_memory_limit", str_cat("a message of ", size, " bytes: ", error.message()));
  }
  constexpr size_t kConsumeBytes = size_t{1} << 20;
  bool parsed = false;
  if (size >= kConsumeBytes) {
    ConsumingReader reader(bytes);
    parsed = parse(reader, message, limits.max_depth);
  } else {
    parsed = parse(bytes, message, limits.max_depth);
  }
  return parsed ? absl::OkStatus() : unparsable(message);
}

}  // namespace

absl::Status parse_message(grpc::ByteBuffer& bytes, google::protobuf::Message& message, const WireLimits& limits) {
  const auto size = static_cast<int64_t>(bytes.Length());
  if (size > limits.max_message_bytes) {
    return limit_status("max_message_bytes",
                        str_cat("a message of ", size, " bytes came; --max_message_bytes=", limits.max_message_bytes,
                                " is the most. Send smaller batches; WriteState takes tensors in chunks"));
  }
  if (size == 0) {
    message.Clear();
    return absl::OkStatus();
  }
  if (absl::Status fault = check(bytes, message, limits); !fault.ok()) return fault;
  if (bytes.Length() >= kCountedBytes) return parse_large(bytes, message, limits);
  return parse(bytes, message, limits.max_depth) ? absl::OkStatus() : unparsable(message);
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

grpc::ByteBuffer serialize_in_place(std::shared_ptr<const google::protobuf::Message> message) {
  // The answer is made: it counts, but is not refused.
  struct Counted {
    std::shared_ptr<const google::protobuf::Message> message;
    AdoptedCount count;
  };
  auto counted = std::make_shared<Counted>(Counted{std::move(message), AdoptedCount()});
  counted->count.add_unchecked(counted->message->ByteSizeLong());
  InPlaceWriter writer({counted, counted->message.get()});
  {
    google::protobuf::io::CodedOutputStream out(&writer);
    out.EnableAliasing(true);
    counted->message->SerializeToCodedStream(&out);
  }
  return writer.buffer();
}

}  // namespace tapewire::rpc
