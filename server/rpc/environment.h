#pragma once

#include <chrono>

#include "server/observe/log.h"
#include "server/observe/metrics.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/wire_limits.h"

namespace tapewire::rpc {

/// What calls share: where they are counted and logged, who lets them in, how large they may be. Outlives all calls.
struct Environment {
  Metrics& metrics;
  Logger& logger;
  CallGate& gate;
  WireLimits limits;
  std::chrono::nanoseconds slow_call = std::chrono::seconds(5);  // from here on a unary call is logged
};

}  // namespace tapewire::rpc
