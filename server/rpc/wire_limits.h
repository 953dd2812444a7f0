#pragma once

#include <cstdint>

namespace tapewire {
class MemoryGuard;
}

namespace tapewire::rpc {

/// At what size, depth and memory a message is refused. What its fields may hold stands in the contract.
struct WireLimits {
  int64_t max_message_bytes = int64_t{64} << 20;  // --max_message_bytes
  int max_depth = 100;                            // messages within messages
  // What a parsed message may take in memory, without the data of its tensors: so much for each of its bytes, and some
  // that any may have; and so much at the most.
  int64_t memory_per_byte = 32;
  int64_t free_memory = int64_t{1} << 20;
  int64_t max_memory = int64_t{128} << 20;
  MemoryGuard* memory = nullptr;  // asked before a large message is parsed; none: nobody is
};

}  // namespace tapewire::rpc
