#include "core/base/unguessable_id.h"

#include <array>
#include <cerrno>

#include <sys/random.h>

#include "absl/strings/escaping.h"
#include "core/base/error.h"

namespace tapewire {

std::string unguessable_id() {
  std::array<char, 16> bits;
  size_t have = 0;
  while (have < bits.size()) {
    const ssize_t got = getrandom(bits.data() + have, bits.size() - have, 0);
    if (got > 0) {
      have += static_cast<size_t>(got);
    } else if (errno != EINTR) {
      fail_internal("getrandom failed with errno ", errno);
    }
  }
  return absl::BytesToHexString(absl::string_view(bits.data(), bits.size()));
}

}  // namespace tapewire
