#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "server/hook/hook_limits.h"
#include "server/observe/listener.h"
#include "server/observe/log.h"

namespace tapewire {

/// What the flags say, checked.
struct ServerOptions {
  HostPort grpc_address;
  HostPort http_address;
  int compute_threads = 1;
  int64_t tensor_memory_limit = 0;
  int64_t max_message_bytes = 0;
  int64_t max_tensor_bytes = 0;
  int64_t max_models = 0;
  int64_t max_queue = 0;
  int64_t max_tapes = 0;
  int64_t tape_lease_seconds = 0;
  int64_t max_hooks = 0;
  std::chrono::seconds max_call{0};
  HookLimits watch;
  std::chrono::milliseconds drain_delay{0};
  std::chrono::milliseconds drain_timeout{0};
  std::chrono::milliseconds slow_call_threshold{0};
  bool metrics_per_model = true;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;

  /// The limits by the names of their flags, as GetServerInfo tells them.
  std::map<std::string, int64_t> limits() const;
};

/// Reads the command line. --help and --version end the program with 0; what is not right ends it with 2, after a
/// message to standard error that names each flag at fault.
ServerOptions parse_flags(int argc, char** argv);

}  // namespace tapewire
