#include "client/cli/state_file.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cpp/tensor.h"
#include "core/base/error.h"

namespace tapewire::client {
namespace {

// What one message carries.
constexpr int64_t kChunkBytes = int64_t{1} << 20;

// Over the message's own bytes. Throws Error.
Tensor take_tensor(const std::string& name, v1::Tensor& proto) {
  DType dtype = DType::kFloat32;
  if (!tapewire::parse_dtype(dtype_name(proto.dtype()), dtype)) {
    fail("tensor '", name, "': a file cannot hold ", dtype_name(proto.dtype()));
  }
  if (const absl::Status status = check_tensor(proto); !status.ok()) {
    fail("tensor '", name, "': ", std::string(status.message()));
  }
  const tapewire::Shape shape(proto.shape().begin(), proto.shape().end());
  if (proto.data().empty()) return Tensor::empty(shape, dtype);
  const std::shared_ptr<std::string> bytes(proto.release_data());
  return Tensor::over(Buffer::adopt(reinterpret_cast<std::byte*>(bytes->data()), bytes->size(), bytes), shape, dtype);
}

// The next piece of a file: which tensor, and from which byte on.
struct Position {
  size_t tensor = 0;
  int64_t offset = 0;
  int64_t given = 0;  // of all tensors
};

absl::StatusOr<std::optional<v1::TensorChunk>> next_chunk(const SafetensorsFile& file, Position& at) {
  const std::vector<SafetensorsEntry>& tensors = file.header().tensors;
  if (at.tensor == tensors.size()) return std::nullopt;
  const SafetensorsEntry& entry = tensors[at.tensor];
  v1::TensorChunk chunk;
  chunk.set_name(entry.name);
  if (at.offset == 0) {
    // Both sides name them as PyTorch does.
    chunk.set_dtype(parse_dtype(name_of(entry.spec.dtype)).value_or(v1::DATA_TYPE_UNSPECIFIED));
    chunk.mutable_shape()->Assign(entry.spec.shape.begin(), entry.spec.shape.end());
  }
  chunk.set_offset(at.offset);
  std::string& data = *chunk.mutable_data();
  data.resize(static_cast<size_t>(std::min(kChunkBytes, entry.nbytes - at.offset)));
  if (absl::Status status = file.read_bytes(entry, at.offset, std::as_writable_bytes(std::span(data))); !status.ok()) {
    return status;
  }
  at.offset += static_cast<int64_t>(data.size());
  at.given += static_cast<int64_t>(data.size());
  if (at.offset == entry.nbytes) {
    at.offset = 0;
    ++at.tensor;
  }
  return std::optional(std::move(chunk));
}

}  // namespace

absl::Status write_state_file(const std::string& path, std::map<std::string, v1::Tensor> state) {
  std::vector<NamedTensor> tensors;
  try {
    for (auto& [name, tensor] : state) tensors.push_back({name, take_tensor(name, tensor)});
  } catch (const Error& error) {
    return absl::Status(error.code(), error.message());
  }
  return write_safetensors(path, tensors, {{"format", "pt"}});
}

ChunkSource chunks_of_file(const SafetensorsFile& file, std::function<void(int64_t bytes)> progress) {
  return [&file, progress = std::move(progress), at = Position()]() mutable {
    auto chunk = next_chunk(file, at);
    progress(at.given);
    return chunk;
  };
}

}  // namespace tapewire::client
