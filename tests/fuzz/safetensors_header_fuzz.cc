// Any bytes, taken for a safetensors file: its header is refused with an INVALID_ARGUMENT, or taken. One that is taken
// covers the data and can be written and read again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/io/safetensors_header.h"

namespace tapewire {
namespace {

void require(bool condition) {
  if (!condition) __builtin_trap();
}

SafetensorsHeader parse(std::string_view file) {
  const auto bytes = static_cast<int64_t>(file.size());
  const int64_t length = safetensors_header_length(file, bytes);
  return parse_safetensors_header(file.substr(kSafetensorsPrefix, static_cast<size_t>(length)),
                                  bytes - kSafetensorsPrefix - length);
}

void check_round_trip(const SafetensorsHeader& header) {
  std::vector<SafetensorsItem> items;
  for (const SafetensorsEntry& entry : header.tensors) items.push_back({entry.name, entry.spec});
  const SafetensorsHeader laid_out = layout_safetensors(items, header.metadata);
  require(laid_out.data_bytes() == header.data_bytes());
  const std::string text = format_safetensors_header(laid_out);
  require(text.size() % 8 == 0);
  const SafetensorsHeader again =
      parse_safetensors_header(std::string_view(text).substr(kSafetensorsPrefix), header.data_bytes());
  require(again.metadata == header.metadata && again.tensors.size() == header.tensors.size());
  // Empty tensors lie where others begin, so that reading puts them in an order of its own.
  int64_t elements = 0;
  for (size_t i = 0; i < again.tensors.size(); ++i) {
    elements += numel_of(again.tensors[i].spec.shape) - numel_of(header.tensors[i].spec.shape);
  }
  require(elements == 0);
}

}  // namespace
}  // namespace tapewire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {  // NOLINT: libFuzzer's name
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  tapewire::SafetensorsHeader header;
  try {
    header = tapewire::parse(file);
  } catch (const tapewire::Error& error) {
    tapewire::require(error.code() == absl::StatusCode::kInvalidArgument && !error.message().empty());
    return 0;
  }
  tapewire::check_round_trip(header);
  return 0;
}
