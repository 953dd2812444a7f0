#include "core/autograd/hooks.h"

namespace tapewire {

uint64_t next_hook_id() {
  static std::atomic<uint64_t> next{0};
  return next.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace tapewire
