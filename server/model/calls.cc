#include "server/model/calls.h"

#include "core/base/limit_error.h"
#include "core/tensor/allocator.h"

namespace tapewire {

void check_answer(std::initializer_list<const std::vector<NamedTensor>*> lists, int64_t most) {
  constexpr int64_t kBesides = 4096;  // what is no tensor
  constexpr int64_t kEach = 256;      // what a tensor has besides its name and data
  if (most == 0) return;
  int64_t bytes = kBesides;
  for (const auto* list : lists) {
    for (const NamedTensor& t : *list) {
      bytes += kEach + static_cast<int64_t>(t.name.size() + (t.tensor.defined() ? t.tensor.nbytes() : 0));
    }
  }
  if (bytes > most) {
    fail_limit("max_message_bytes", "the answer would have ", bytes, " bytes; --max_message_bytes=", most,
               " is the most; nothing was changed");
  }
  // The tensors are copied into a message: that there is room for it is found out while nothing has changed.
  constexpr int64_t kCounted = int64_t{64} << 10;
  if (bytes < kCounted) return;
  try {
    AdoptedCount().add(static_cast<size_t>(bytes));
  } catch (const Error& error) {
    throw_within(error, "the answer");
  }
}

}  // namespace tapewire
