#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"

namespace tapewire {

/// The number of threads that kernels called from this thread may use, itself included; 1 unless set.
int compute_threads();

/// Sets compute_threads() of this thread for a scope. REQUIRES: count >= 1.
class ComputeThreadsScope {
 public:
  explicit ComputeThreadsScope(int count);
  ~ComputeThreadsScope();
  ComputeThreadsScope(const ComputeThreadsScope&) = delete;
  ComputeThreadsScope& operator=(const ComputeThreadsScope&) = delete;

 private:
  int previous_;
};

/// Calls body(begin, end) over consecutive ranges that cover [0, size), on up to compute_threads() threads. Every range
/// but the last is a multiple of `grain` long, and the cuts depend on size and grain alone, so a body that reduces
/// within a range gives the same bits for any number of threads. `body` may throw: no further range is begun then, and
/// the first error is rethrown here after those under way have ended. The caller's cancel token is checked before each
/// range, and is the token of whichever thread runs a body. Inside a body parallel_for runs in line.
void parallel_for(int64_t size, int64_t grain, absl::FunctionRef<void(int64_t begin, int64_t end)> body);

}  // namespace tapewire
