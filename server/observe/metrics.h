#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/base/mutex.h"
#include "prometheus/registry.h"
#include "server/observe/model_metrics.h"
#include "server/observe/version.h"

namespace tapewire {

/// The series of one RPC method. Thread-safe.
class MethodMetrics {
 public:
  MethodMetrics(std::string method, prometheus::Family<prometheus::Histogram>& durations, prometheus::Gauge& in_flight)
      : method_(std::move(method)), durations_(durations), in_flight_(in_flight) {}

  void begin() { in_flight_.Increment(); }
  void end(absl::StatusCode code, double seconds);

 private:
  static constexpr size_t kCodes = 17;

  const std::string method_;
  prometheus::Family<prometheus::Histogram>& durations_;
  prometheus::Gauge& in_flight_;
  std::array<std::atomic<prometheus::Histogram*>, kCodes> by_code_{};
};

struct MetricsOptions {
  bool per_model = true;  // series of each model; false: their totals
};

/// All that /metrics shows. Thread-safe; one for a server.
class Metrics {
 public:
  explicit Metrics(const BuildInfo& build, MetricsOptions options = {});
  ~Metrics();

  /// The series of a model that begins. They are shown until remove_model; tapewire_models counts them.
  std::shared_ptr<ModelMetrics> add_model(const std::string& name) TW_EXCLUDES(mutex_);
  void remove_model(const std::shared_ptr<ModelMetrics>& model) TW_EXCLUDES(mutex_);
  int64_t model_count() const TW_EXCLUDES(mutex_);

  /// The series of an RPC method, by its full name; lives as long as this.
  MethodMetrics& method(const std::string& name) TW_EXCLUDES(mutex_);

  /// Counts a refused call: `reason` is a limit's flag ("max_queue"), "draining" or "other".
  void add_rejected(const std::string& reason);

  /// In Prometheus' text format, version 0.0.4: the only one that is served, whatever a scraper would rather have.
  std::string text() const TW_EXCLUDES(mutex_);

 private:
  const MetricsOptions options_;
  const std::shared_ptr<ModelCounts> totals_ =
      std::make_shared<ModelCounts>();  // of all models, where it is these that are shown
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Histogram>& rpc_durations_;
  prometheus::Family<prometheus::Gauge>& rpc_in_flight_;
  prometheus::Family<prometheus::Counter>& rejected_;
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<ModelMetrics>> models_ TW_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, std::unique_ptr<MethodMetrics>>> methods_ TW_GUARDED_BY(mutex_);
};

/// The content type of Metrics::text().
inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace tapewire
