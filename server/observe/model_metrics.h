#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/metric_family.h"
#include "server/observe/buckets.h"

namespace tapewire {

/// What a model's compute time went to.
enum class Phase { kForward, kBackward, kStep, kInfer, kEvaluate };
/// What was not finite.
enum class NonFinite { kLoss, kGradient };
/// Why a hook's event or reply was not used, or an event's data left out (kTooLarge).
enum class HookDrop { kBufferFull, kBlockTimeout, kStreamLost, kMemory, kTooLarge };

/// A gauge that is not shown before it was set: no loss is not a loss of 0.
class OptionalGauge {
 public:
  void set(double value) {
    value_.store(value, std::memory_order_relaxed);
    is_set_.store(true, std::memory_order_release);
  }
  std::optional<double> value() const {
    if (!is_set_.load(std::memory_order_acquire)) return std::nullopt;
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<double> value_{0};
  std::atomic<bool> is_set_{false};
};

/// The series of one model. The model keeps it, so counting looks nothing up. It stays valid after the model was
/// removed from Metrics; what is counted then is seen by nobody. Thread-safe.
class ModelMetrics {
 public:
  explicit ModelMetrics(std::string model) : model_(std::move(model)) {}
  ModelMetrics(const ModelMetrics&) = delete;
  ModelMetrics& operator=(const ModelMetrics&) = delete;

  const std::string& model() const { return model_; }

  void observe_queue_wait(double seconds) { queue_wait_.Observe(seconds); }
  void add_queue_depth(int delta) { queue_depth_.Increment(delta); }
  void observe_compute(Phase phase, double seconds) { compute_[static_cast<size_t>(phase)].Observe(seconds); }
  void add_step() { steps_.Increment(); }
  void add_samples(int64_t count) { samples_.Increment(static_cast<double>(count)); }
  void set_loss(double value) { loss_.set(value); }
  void set_grad_norm(double value) { grad_norm_.set(value); }
  void set_learning_rate(double value) { learning_rate_.set(value); }
  void set_parameter_version(int64_t value) { parameter_version_.Set(static_cast<double>(value)); }
  void add_nonfinite(NonFinite kind) { nonfinite_[static_cast<size_t>(kind)].Increment(); }
  void add_tapes(int delta) { tapes_.Increment(delta); }
  void add_tape_bytes(int64_t delta) { tape_bytes_.Increment(static_cast<double>(delta)); }
  void add_hooks(int delta) { hooks_.Increment(delta); }
  void add_hook_events(int64_t count) { hook_events_.Increment(static_cast<double>(count)); }
  void add_hook_dropped(HookDrop reason, int64_t count = 1) {
    hook_dropped_[static_cast<size_t>(reason)].Increment(static_cast<double>(count));
  }
  void observe_hook_wait(double seconds) { hook_wait_.Observe(seconds); }

  /// Every family, with the series of these models.
  static std::vector<prometheus::MetricFamily> collect(std::span<const std::shared_ptr<ModelMetrics>> models);

 private:
  struct DurationHistogram : prometheus::Histogram {
    DurationHistogram() : Histogram(duration_buckets()) {}
  };

  const std::string model_;
  DurationHistogram queue_wait_;
  prometheus::Gauge queue_depth_;
  std::array<DurationHistogram, 5> compute_;
  prometheus::Counter steps_;
  prometheus::Counter samples_;
  OptionalGauge loss_;
  OptionalGauge grad_norm_;
  OptionalGauge learning_rate_;
  prometheus::Gauge parameter_version_;
  std::array<prometheus::Counter, 2> nonfinite_;
  prometheus::Gauge tapes_;
  prometheus::Gauge tape_bytes_;
  prometheus::Gauge hooks_;
  prometheus::Counter hook_events_;
  std::array<prometheus::Counter, 5> hook_dropped_;
  DurationHistogram hook_wait_;
};

}  // namespace tapewire
