#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/codec/tensor_codec.h"
#include "server/model/model_registry.h"

namespace tapewire::rpc {

/// What GetServerInfo tells that does not change.
struct ServerFacts {
  std::vector<std::string> features;
  std::map<std::string, int64_t> limits;  // by flag name
  std::chrono::system_clock::time_point start_time = std::chrono::system_clock::now();
  std::string cpu;
  int compute_threads = 1;
};

/// What the services serve. Outlives them.
struct Backend {
  ModelRegistry& models;
  codec::Limits tensors;
  int64_t max_answer_bytes = 0;  // 0: no limit
  ServerFacts facts;
};

}  // namespace tapewire::rpc
