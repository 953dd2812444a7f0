#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/kernels/stats.h"
#include "core/tensor/tensor.h"
#include "server/hook/event_wire.h"
#include "server/hook/watch_memory.h"

namespace tapewire {

/// Where in a call a hook fires.
enum class HookKind : uint8_t { kForwardPre, kForward, kBackwardPre, kBackward, kTensor };

/// Why a tensor that was asked for comes without its data.
enum class DataOmitted : uint8_t { kNo, kAboveMaxTensorBytes, kEventTooLarge };

/// One tensor as a hook saw it.
struct ObservedTensor {
  std::string name;  // "input", "output", "grad_input", "grad_output", "grad"; with _1, _2 after the first
  bool none = false;
  TensorSpec spec;
  std::optional<kernels::Stats> stats;
  Tensor tensor;  // frozen; undefined unless asked for and small enough
  DataOmitted omitted = DataOmitted::kNo;
};

/// One firing of an observing hook. Immutable once made; watchers share it, and with it the bytes that travel.
struct HookEvent {
  std::string hook_id;
  std::string path;
  HookKind kind = HookKind::kForward;
  int64_t step = 0;
  std::chrono::system_clock::time_point time;
  std::vector<ObservedTensor> tensors;
  WatchMemory::Share memory;  // how much it holds

  /// What all watchers get alike: encoded once, by the first who asks. Thread-safe; lives as long as the event.
  const EventWire& wire() const;

 private:
  mutable std::once_flag encoded_;
  mutable EventWire wire_;
};

/// Bytes that a message of such an event has at most, without the data of its tensors.
int64_t wire_bound(const std::string& hook_id, const std::string& path, const std::vector<ObservedTensor>& tensors);

}  // namespace tapewire
