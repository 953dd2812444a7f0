#pragma once

#include "absl/status/status.h"

namespace tapewire {

/// What the exception now handled says to a caller: an Error keeps its code and message, memory that is out is
/// RESOURCE_EXHAUSTED, all else INTERNAL. REQUIRES: called within a catch block.
absl::Status caught_status();

}  // namespace tapewire
