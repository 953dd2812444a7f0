#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/kernels/stats.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Where in a call a hook fires.
enum class HookKind : uint8_t { kForwardPre, kForward, kBackwardPre, kBackward, kTensor };

/// One tensor as a hook saw it.
struct ObservedTensor {
  std::string name;  // "input", "output", "grad_input", "grad_output", "grad"; with _1, _2 after the first
  bool none = false;
  TensorSpec spec;
  std::optional<kernels::Stats> stats;
  Tensor tensor;  // undefined unless asked for and small enough
};

/// One firing of an observing hook. Immutable once made; watchers share it.
struct HookEvent {
  std::string hook_id;
  std::string path;
  HookKind kind = HookKind::kForward;
  int64_t step = 0;
  std::chrono::system_clock::time_point time;
  std::vector<ObservedTensor> tensors;
};

}  // namespace tapewire
