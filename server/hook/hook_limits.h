#pragma once

#include <cstdint>

namespace tapewire {

/// What hooks and those who watch them may take; see the flags of the same names.
struct HookLimits {
  int64_t max_hooks = 1000;                       // of a model
  int64_t max_watchers = 100;                     // of a model
  int64_t buffer_bytes = int64_t{64} << 20;       // of events that wait for one watcher
  int64_t memory_bytes = int64_t{256} << 20;      // of events of all watchers
  int64_t bytes_per_second = int64_t{128} << 20;  // of large events, to all watchers; 0: no bound
};

}  // namespace tapewire
