#include "server/observe/memory_guard.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/strings.h"
#include "core/tensor/allocator.h"

namespace tapewire {

absl::Status MemoryGuard::admit(size_t bytes, Clock::time_point now) {
  const auto wanted = static_cast<int64_t>(std::min<size_t>(bytes, size_t{1} << 62));
  MutexLock lock(mutex_);
  if (looked_ == Clock::time_point::min() || now - looked_ >= options_.look_every) {
    resident_ = options_.resident();
    looked_ = now;
  }
  // Those that are let in before the next look add up.
  if (resident_ <= options_.limit - wanted) {
    resident_ += wanted;
    return absl::OkStatus();
  }
  if (released_ == Clock::time_point::min() || now - released_ >= options_.release_every) {
    options_.release();
    released_ = now;
    resident_ = options_.resident();
    looked_ = now;
    if (resident_ <= options_.limit - wanted) {
      resident_ += wanted;
      return absl::OkStatus();
    }
  }
  return absl::ResourceExhaustedError(str_cat("out of memory: the server holds ", resident_, " bytes, and ", wanted,
                                              " more would pass ", options_.limit,
                                              ", which --tensor_memory_limit and what is beside tensors allow"));
}

int64_t MemoryGuard::resident_bytes() {
  const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[128];
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  text[length] = '\0';
  char* end = nullptr;
  std::strtoll(text, &end, 10);  // the whole size
  return std::strtoll(end, nullptr, 10) * sysconf(_SC_PAGESIZE);
}

void MemoryGuard::release_kept_memory() {
  tensor_allocator().release_cached();
  malloc_trim(0);
}

int64_t default_tensor_memory(int64_t memory) {
  constexpr int64_t kBeside = kMemoryBesideTensors + (int64_t{32} << 20);
  return std::max(memory / 4, (memory - kBeside) / 5 * 4);
}

}  // namespace tapewire
