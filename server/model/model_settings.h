#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "server/hook/model_hooks.h"
#include "server/model/definition.h"

namespace tapewire {

/// What all models of a server share.
struct ModelSettings {
  DefinitionLimits definition;
  int64_t max_queue = 64;  // calls waiting for one model; and as many reads
  int64_t max_tapes = 64;  // of one model
  std::chrono::seconds tape_lease{600};
  int compute_threads = 1;                         // of a model that does not say
  std::shared_ptr<HookResources> hooks = nullptr;  // none: the registry makes them
  /// Hears when a model should be asked to expire(): leases end then. From any thread; may be empty.
  std::function<void(std::chrono::steady_clock::time_point)> expires_at = nullptr;
};

}  // namespace tapewire
