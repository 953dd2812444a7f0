#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tapewire::rpc {

/// A limit of the whole server that no flag sets.
struct FixedLimit {
  std::string_view name;
  int64_t value;
  std::string_view error;  // the code of what is beyond
  std::string_view doc;
};

/// As GetServerInfo and docs/limits.md tell them. What single fields may hold stands in the contract instead.
std::span<const FixedLimit> fixed_limits();

}  // namespace tapewire::rpc
