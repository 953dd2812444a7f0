#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/shape.h"

namespace tapewire {

/// A tensor as the header of a safetensors file tells of it.
struct SafetensorsEntry {
  std::string name;
  TensorSpec spec;
  int64_t begin = 0;   // of its bytes, counted from the end of the header
  int64_t nbytes = 0;  // what the spec asks for

  int64_t end() const { return begin + nbytes; }
};

/// What a safetensors file says before its data.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;        // in the order of their data
  std::map<std::string, std::string> metadata;  // "__metadata__"

  /// Bytes of all tensors.
  int64_t data_bytes() const { return tensors.empty() ? 0 : tensors.back().end(); }
};

/// The eight bytes that a file begins with: the length of its header, little-endian.
inline constexpr int64_t kSafetensorsPrefix = 8;
/// The longest header that is read or written, as in the reference implementation.
inline constexpr int64_t kMaxSafetensorsHeader = 100'000'000;

/// The length of the header of a file of `file_bytes`, whose first bytes `start` are (eight are enough). Throws
/// INVALID_ARGUMENT when it is not within the file, or above kMaxSafetensorsHeader.
int64_t safetensors_header_length(std::string_view start, int64_t file_bytes);

/// Reads a header, JSON of that length, in front of `data_bytes` of tensors. It is trusted in nothing: that it is UTF-8
/// and JSON, names no tensor or field twice, has dtypes that the engine has and shapes that can be, and that the
/// tensors' bytes follow each other from the first byte of the data to the last without hole or overlap. Throws
/// INVALID_ARGUMENT with the tensor's name, what came and what was expected. As in the reference implementation, fields
/// of a tensor that it does not know are passed over, and blanks may follow the JSON.
SafetensorsHeader parse_safetensors_header(std::string_view json, int64_t data_bytes);

/// A tensor to be written.
struct SafetensorsItem {
  std::string_view name;
  TensorSpec spec;
};

/// Lays tensors out as the reference implementation does: 8-byte types before shorter ones, then by name. The answer's
/// entries say where each goes. Throws INVALID_ARGUMENT for a name that is given twice, is "__metadata__" or is not
/// UTF-8, and for metadata that is not.
SafetensorsHeader layout_safetensors(const std::vector<SafetensorsItem>& items,
                                     std::map<std::string, std::string> metadata);

/// The header's text, with the length in front and blanks behind, so that the data begins at a multiple of eight: the
/// same bytes for the same header. REQUIRES: the header comes from layout_safetensors. Throws INVALID_ARGUMENT when it
/// is longer than kMaxSafetensorsHeader.
std::string format_safetensors_header(const SafetensorsHeader& header);

/// "F32", "BOOL", ...: what the format calls a dtype.
std::string_view safetensors_name(DType dtype);

}  // namespace tapewire
