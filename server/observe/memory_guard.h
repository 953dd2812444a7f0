#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "core/base/mutex.h"

namespace tapewire {

/// Looks at what the process really holds, as a backstop for memory that nothing counts: what would add to it is
/// refused while it is above a limit, after what is only kept for reuse has gone back to the system. Thread-safe.
class MemoryGuard {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    int64_t limit = 0;  // of resident bytes
    /// Resident bytes of this process.
    std::function<int64_t()> resident = &resident_bytes;
    /// Gives back what is only kept for reuse.
    std::function<void()> release = &release_kept_memory;
    /// How old a look may be.
    std::chrono::milliseconds look_every{2};
    /// The least time between two releases.
    std::chrono::milliseconds release_every{100};
  };

  explicit MemoryGuard(Options options) : options_(std::move(options)) {}

  /// Whether the process may take `bytes` more; RESOURCE_EXHAUSTED names --tensor_memory_limit. Cheap enough for every
  /// message of some size. Calls that take nothing, and those that let go of something, should not ask.
  absl::Status admit(size_t bytes, Clock::time_point now = Clock::now()) TW_EXCLUDES(mutex_);

  /// As the system counts them now, or 0 when it does not say.
  static int64_t resident_bytes();
  /// Lets go of tensor blocks that are kept for reuse and of what malloc keeps.
  static void release_kept_memory();

 private:
  const Options options_;
  Mutex mutex_;
  int64_t resident_ TW_GUARDED_BY(mutex_) = 0;
  Clock::time_point looked_ TW_GUARDED_BY(mutex_) = Clock::time_point::min();
  Clock::time_point released_ TW_GUARDED_BY(mutex_) = Clock::time_point::min();
};

/// What a server takes beside its tensors: code, threads, gRPC's buffers, messages.
inline constexpr int64_t kMemoryBesideTensors = int64_t{128} << 20;

/// How much of `memory` bytes tensors may have when nothing is said: four fifths of what is left beside them, a quarter
/// of it at least.
int64_t default_tensor_memory(int64_t memory);

}  // namespace tapewire
