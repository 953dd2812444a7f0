#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/io/file.h"
#include "core/io/safetensors_header.h"
#include "core/tensor/tensor.h"

/// Files of named tensors in the safetensors format, which PyTorch and Hugging Face's libraries exchange weights in:
/// eight bytes with the header's length, the header (JSON: dtype, shape and place of each tensor, and strings about the
/// whole), the tensors, row-major and little-endian. docs/files.md has the rules. Nothing in a file is trusted.
namespace tapewire {

/// A safetensors file that is open for reading; its header was checked. Tensors are read one by one, so a file may be
/// larger than memory. May be used by several threads. Errors begin with the path.
class SafetensorsFile {
 public:
  /// INVALID_ARGUMENT when the file is none that parse_safetensors_header takes; InputFile::open's errors.
  static absl::StatusOr<SafetensorsFile> open(const std::string& path);

  const SafetensorsHeader& header() const { return header_; }

  /// One tensor. RESOURCE_EXHAUSTED when there is no memory for it, INVALID_ARGUMENT when a bool's byte is neither 0
  /// nor 1. REQUIRES: `entry` is of this file's header.
  absl::StatusOr<Tensor> read(const SafetensorsEntry& entry) const;
  /// A tensor's bytes from `offset` on, with the same errors. REQUIRES: they lie within the tensor.
  absl::Status read_bytes(const SafetensorsEntry& entry, int64_t offset, std::span<std::byte> out) const;

 private:
  SafetensorsFile(InputFile file, SafetensorsHeader header, int64_t data_begin)
      : file_(std::move(file)), header_(std::move(header)), data_begin_(data_begin) {}

  InputFile file_;
  SafetensorsHeader header_;
  int64_t data_begin_;
};

/// The content of a file.
struct SafetensorsContent {
  std::vector<NamedTensor> tensors;  // in the order of their data
  std::map<std::string, std::string> metadata;
};

/// A whole file.
absl::StatusOr<SafetensorsContent> read_safetensors(const std::string& path);

/// Writes tensors of any strides; the same tensors and metadata give the same bytes, in whatever order they are given.
/// The file is there as a whole or not at all, and replaces one of that name. INVALID_ARGUMENT for names that
/// layout_safetensors refuses and undefined tensors; AtomicFile's errors. REQUIRES: nobody writes to the tensors
/// meanwhile.
absl::Status write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata = {});

}  // namespace tapewire
