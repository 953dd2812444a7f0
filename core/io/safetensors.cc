#include "core/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/tensor/row_major.h"

namespace tapewire {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

std::span<std::byte> writable_bytes(const Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.mutable_raw_data()), tensor.nbytes()};
}

// What `work` returns, or what it throws as a status that begins with the path.
template <class Work>
auto with_path(const std::string& path, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Error& error) {
    return absl::Status(error.code(), str_cat(path, ": ", error.message()));
  }
}

absl::Status write_tensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                           const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsItem> items;
  std::unordered_map<std::string_view, const Tensor*> by_name;
  for (const NamedTensor& t : tensors) {
    if (!t.tensor.defined()) fail("tensor ", quoted(t.name), " is undefined");
    items.push_back({t.name, t.tensor.spec()});
    by_name.emplace(t.name, &t.tensor);
  }
  const SafetensorsHeader header = layout_safetensors(items, metadata);
  const std::string text = format_safetensors_header(header);
  absl::StatusOr<AtomicFile> file = AtomicFile::create(path);
  if (!file.ok()) return file.status();
  if (absl::Status status = file->write(std::as_bytes(std::span(text))); !status.ok()) return status;
  for (const SafetensorsEntry& entry : header.tensors) {
    const Tensor tensor = row_major(*by_name.at(entry.name));
    const std::span bytes(static_cast<const std::byte*>(tensor.raw_data()), tensor.nbytes());
    if (absl::Status status = file->write(bytes); !status.ok()) return status;
  }
  return file->commit();
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  absl::StatusOr<InputFile> file = InputFile::open(path);
  if (!file.ok()) return file.status();
  return with_path(path, [&]() -> absl::StatusOr<SafetensorsFile> {
    std::string start(static_cast<size_t>(std::min(kSafetensorsPrefix, file->size())), '\0');
    absl::Status status = file->read_at(0, std::as_writable_bytes(std::span(start)));
    if (!status.ok()) return status;
    const int64_t length = safetensors_header_length(start, file->size());
    std::string json(static_cast<size_t>(length), '\0');
    status = file->read_at(kSafetensorsPrefix, std::as_writable_bytes(std::span(json)));
    if (!status.ok()) return status;
    const int64_t data_begin = kSafetensorsPrefix + length;
    SafetensorsHeader header = parse_safetensors_header(json, file->size() - data_begin);
    return SafetensorsFile(*std::move(file), std::move(header), data_begin);
  });
}

absl::StatusOr<Tensor> SafetensorsFile::read(const SafetensorsEntry& entry) const {
  return with_path(file_.path(), [&]() -> absl::StatusOr<Tensor> {
    Tensor tensor = Tensor::empty(entry.spec.shape, entry.spec.dtype);
    if (absl::Status status = read_bytes(entry, 0, writable_bytes(tensor)); !status.ok()) return status;
    return tensor;
  });
}

absl::Status SafetensorsFile::read_bytes(const SafetensorsEntry& entry, int64_t offset,
                                         std::span<std::byte> out) const {
  if (absl::Status status = file_.read_at(data_begin_ + entry.begin + offset, out); !status.ok()) return status;
  if (entry.spec.dtype != DType::kBool) return absl::OkStatus();
  const auto bad = std::ranges::find_if(out, [](std::byte b) { return b > std::byte{1}; });
  if (bad == out.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(str_cat(file_.path(), ": tensor ", quoted(entry.name),
                                            ": a bool is a byte 0 or 1, got ", std::to_integer<int>(*bad), " at index ",
                                            offset + (bad - out.begin())));
}

absl::StatusOr<SafetensorsContent> read_safetensors(const std::string& path) {
  absl::StatusOr<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file.ok()) return file.status();
  SafetensorsContent out{.tensors = {}, .metadata = file->header().metadata};
  for (const SafetensorsEntry& entry : file->header().tensors) {
    absl::StatusOr<Tensor> tensor = file->read(entry);
    if (!tensor.ok()) return tensor.status();
    out.tensors.push_back({entry.name, *std::move(tensor)});
  }
  return out;
}

absl::Status write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  return with_path(path, [&] { return write_tensors(path, tensors, metadata); });
}

}  // namespace tapewire
