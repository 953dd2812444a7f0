#include "server/hook/event_wire.h"

#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "server/codec/tensor_codec.h"
#include "server/hook/event.h"
#include "tapewire/v1/hook_service.pb.h"

namespace tapewire {
namespace {

using google::protobuf::internal::WireFormatLite;

// Smaller data is copied: a piece of its own costs more.
constexpr size_t kOwnPiece = 4096;

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_header(std::string& out, int field, size_t size) {
  append_varint(out, WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  append_varint(out, size);
}

size_t header_size(int field, size_t size) {
  std::string text;
  append_header(text, field, size);
  return text.size();
}

void encode_stats(const kernels::Stats& stats, v1::TensorStats& out) {
  out.set_count(stats.count);
  out.set_mean(stats.mean);
  out.set_std(stats.std);
  out.set_min(stats.min);
  out.set_max(stats.max);
  out.set_l2_norm(stats.l2_norm);
  out.set_zeros(stats.zeros);
  out.set_nans(stats.nans);
  out.set_infs(stats.infs);
  if (stats.counts.empty()) return;
  for (const double edge : stats.edges) out.mutable_histogram()->add_edges(edge);
  for (const int64_t count : stats.counts) out.mutable_histogram()->add_counts(count);
}

class Encoder {
 public:
  void message(const google::protobuf::MessageLite& part) { part.AppendToString(&text_); }

  void tensor(const ObservedTensor& seen) {
    v1::ObservedTensor part;
    part.set_name(seen.name);
    part.set_none(seen.none);
    if (!seen.none) codec::encode_spec(seen.name, seen.spec, *part.mutable_spec());
    if (seen.stats) encode_stats(*seen.stats, *part.mutable_stats());
    part.set_omitted(static_cast<v1::DataOmitted>(seen.omitted));
    const std::string fields = part.SerializeAsString();
    constexpr int kTensors = v1::HookEvent::kTensorsFieldNumber;
    if (!seen.tensor.defined()) {
      append_header(text_, kTensors, fields.size());
      text_ += fields;
      return;
    }
    v1::Tensor shape;
    shape.set_dtype(codec::encode_dtype(seen.tensor.dtype()));
    shape.mutable_shape()->Assign(seen.tensor.sizes().begin(), seen.tensor.sizes().end());
    const std::string described = shape.SerializeAsString();
    const size_t bytes = seen.tensor.nbytes();
    constexpr int kData = v1::Tensor::kDataFieldNumber;
    constexpr int kTensor = v1::ObservedTensor::kTensorFieldNumber;
    const size_t inner = described.size() + header_size(kData, bytes) + bytes;
    append_header(text_, kTensors, fields.size() + header_size(kTensor, inner) + inner);
    text_ += fields;
    append_header(text_, kTensor, inner);
    text_ += described;
    append_header(text_, kData, bytes);
    data({static_cast<const char*>(seen.tensor.raw_data()), bytes});
  }

  EventWire take() {
    flush();
    return std::move(wire_);
  }

 private:
  void data(std::string_view bytes) {
    if (bytes.size() < kOwnPiece) {
      text_ += bytes;
      return;
    }
    flush();
    add(bytes);
  }
  void flush() {
    if (text_.empty()) return;
    add(wire_.text.emplace_back(std::exchange(text_, {})));
  }
  void add(std::string_view piece) {
    wire_.pieces.push_back(piece);
    wire_.size += piece.size();
  }

  std::string text_;
  EventWire wire_;
};

google::protobuf::Timestamp encode_time(std::chrono::system_clock::time_point time) {
  const auto since = time.time_since_epoch();
  const auto whole = std::chrono::floor<std::chrono::seconds>(since);
  google::protobuf::Timestamp out;
  out.set_seconds(whole.count());
  out.set_nanos(static_cast<int32_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since - whole).count()));
  return out;
}

}  // namespace

EventWire encode_event(const HookEvent& event) {
  Encoder encoder;
  v1::HookEvent head;
  head.set_hook_id(event.hook_id);
  head.set_path(event.path);
  head.set_kind(static_cast<v1::HookKind>(static_cast<int>(event.kind) + v1::HOOK_KIND_FORWARD_PRE));
  head.set_step(event.step);
  *head.mutable_time() = encode_time(event.time);
  encoder.message(head);
  for (const ObservedTensor& seen : event.tensors) encoder.tensor(seen);
  return encoder.take();
}

int64_t wire_bound(const std::string& hook_id, const std::string& path, const std::vector<ObservedTensor>& tensors) {
  constexpr size_t kEvent = 256;     // numbers, time, and what a stream puts around and behind
  constexpr size_t kTensor = 256;    // numbers and statistics
  constexpr size_t kDimension = 20;  // in the spec and in the tensor
  constexpr size_t kBin = 20;        // an edge and a count
  size_t bytes = kEvent + hook_id.size() + path.size();
  for (const ObservedTensor& seen : tensors) {
    bytes += kTensor + 2 * seen.name.size() + kDimension * seen.spec.shape.size();
    if (seen.stats) bytes += kBin * (seen.stats->counts.size() + 1);
  }
  return static_cast<int64_t>(bytes);
}

const EventWire& HookEvent::wire() const {
  std::call_once(encoded_, [this] { wire_ = encode_event(*this); });
  return wire_;
}

}  // namespace tapewire
