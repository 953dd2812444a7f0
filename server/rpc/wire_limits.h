#pragma once

#include <cstdint>

namespace tapewire {
class MemoryGuard;
}

namespace tapewire::rpc {

/// At what size and depth a message is refused. See --max_message_bytes.
struct WireLimits {
  int64_t max_message_bytes = int64_t{64} << 20;
  int max_depth = 100;            // messages within messages
  MemoryGuard* memory = nullptr;  // asked before a large message is parsed; none: nobody is
};

}  // namespace tapewire::rpc
