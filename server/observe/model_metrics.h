#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
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

struct DurationHistogram : prometheus::Histogram {
  DurationHistogram() : Histogram(duration_buckets()) {}
};

/// What models add to and what only grows: of one model, or of all. Thread-safe.
struct ModelCounts {
  DurationHistogram queue_wait;
  std::array<DurationHistogram, 5> compute;  // by Phase
  prometheus::Counter steps;
  prometheus::Counter samples;
  std::array<prometheus::Counter, 2> nonfinite;  // by NonFinite
  prometheus::Counter hook_events;
  std::array<prometheus::Counter, 5> hook_dropped;  // by HookDrop
  DurationHistogram hook_wait;
};

/// The series of one model. The model keeps it, so counting looks nothing up. It stays valid after the model was
/// removed from Metrics; what is counted then is seen by nobody. Thread-safe.
class ModelMetrics {
 public:
  explicit ModelMetrics(std::string model, std::shared_ptr<ModelCounts> counts = std::make_shared<ModelCounts>())
      : model_(std::move(model)), counts_(std::move(counts)) {}
  ModelMetrics(const ModelMetrics&) = delete;
  ModelMetrics& operator=(const ModelMetrics&) = delete;

  const std::string& model() const { return model_; }

  void observe_queue_wait(double seconds) { counts_->queue_wait.Observe(seconds); }
  void add_queue_depth(int delta) { queue_depth_.Increment(delta); }
  void observe_compute(Phase phase, double seconds) { counts_->compute[static_cast<size_t>(phase)].Observe(seconds); }
  void add_step() { counts_->steps.Increment(); }
  void add_samples(int64_t count) { counts_->samples.Increment(static_cast<double>(count)); }
  void set_loss(double value) { loss_.set(value); }
  void set_grad_norm(double value) { grad_norm_.set(value); }
  void set_learning_rate(double value) { learning_rate_.set(value); }
  void set_parameter_version(int64_t value) { parameter_version_.Set(static_cast<double>(value)); }
  void add_nonfinite(NonFinite kind) { counts_->nonfinite[static_cast<size_t>(kind)].Increment(); }
  void add_tapes(int delta) { tapes_.Increment(delta); }
  void add_tape_bytes(int64_t delta) { tape_bytes_.Increment(static_cast<double>(delta)); }
  void add_hooks(int delta) { hooks_.Increment(delta); }
  void add_hook_events(int64_t count) { counts_->hook_events.Increment(static_cast<double>(count)); }
  void add_hook_dropped(HookDrop reason, int64_t count = 1) {
    counts_->hook_dropped[static_cast<size_t>(reason)].Increment(static_cast<double>(count));
  }
  void observe_hook_wait(double seconds) { counts_->hook_wait.Observe(seconds); }

  /// The series of each of these models. What was never observed or counted, of a histogram or by a reason, has none.
  static std::vector<prometheus::MetricFamily> collect(std::span<const std::shared_ptr<ModelMetrics>> models);
  /// Their totals, without a label for the model: what was counted by all that ever added to `counts`, and what these
  /// hold now. The loss and its like have no total.
  static std::vector<prometheus::MetricFamily> collect_totals(const ModelCounts& counts,
                                                              std::span<const std::shared_ptr<ModelMetrics>> models);

 private:
  const std::string model_;
  const std::shared_ptr<ModelCounts> counts_;
  prometheus::Gauge queue_depth_;
  OptionalGauge loss_;
  OptionalGauge grad_norm_;
  OptionalGauge learning_rate_;
  prometheus::Gauge parameter_version_;
  prometheus::Gauge tapes_;
  prometheus::Gauge tape_bytes_;
  prometheus::Gauge hooks_;
};

}  // namespace tapewire
