#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/suggest.h"

/// What containers by position and by key share.
namespace tapewire::containers {

/// The place that an index means, where -1 is the last of `size`. Throws "index 3 is out of range".
inline size_t position(int64_t index, size_t size) {
  const auto count = static_cast<int64_t>(size);
  if (index < -count || index >= count) fail("index ", index, " is out of range");
  return static_cast<size_t>(index < 0 ? index + count : index);
}

/// The item of that name, of a list of named items. Throws "ModuleDict has no key 'x'", with a suggestion.
template <class List>
auto require_key(std::string_view container, List& list, std::string_view key) {
  const auto found = std::ranges::find_if(list, [key](const auto& item) { return item.name == key; });
  if (found != list.end()) return found;
  std::vector<std::string_view> known;
  for (const auto& item : list) known.push_back(item.name);
  fail(container, " has no key ", quoted(key), did_you_mean(key, known));
}

template <class List>
std::vector<std::string> keys(const List& list) {
  std::vector<std::string> out;
  for (const auto& item : list) out.push_back(item.name);
  return out;
}

}  // namespace tapewire::containers
