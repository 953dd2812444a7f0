#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// Private to the room: the JSON of a safetensors header, by its form alone.
namespace tapewire {

inline constexpr std::string_view kSafetensorsMetadata = "__metadata__";

struct RawSafetensorsEntry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  std::array<uint64_t, 2> data_offsets{};
};

struct RawSafetensorsHeader {
  std::vector<RawSafetensorsEntry> tensors;
  std::map<std::string, std::string> metadata;
};

/// Throws INVALID_ARGUMENT unless it is one object of entries that have a string, a list of non-negative integers and
/// two such integers where they belong, and no key twice. Needs memory in proportion to the text, and no stack.
RawSafetensorsHeader read_safetensors_json(std::string_view json);

}  // namespace tapewire
