#pragma once

#include <chrono>

#include "server/observe/model_metrics.h"

namespace tapewire {

/// Counts a scope's time as compute of a phase.
class PhaseTimer {
 public:
  PhaseTimer(ModelMetrics& metrics, Phase phase)
      : metrics_(metrics), phase_(phase), start_(std::chrono::steady_clock::now()) {}
  ~PhaseTimer() {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
    metrics_.observe_compute(phase_, seconds.count());
  }
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

 private:
  ModelMetrics& metrics_;
  Phase phase_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace tapewire
