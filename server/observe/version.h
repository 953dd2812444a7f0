#pragma once

#include <string_view>

namespace tapewire {

/// What this binary was built from.
struct BuildInfo {
  std::string_view version;  // "0.1.0"
  std::string_view commit;   // abbreviated, or "unknown"
};

BuildInfo build_info();

}  // namespace tapewire
