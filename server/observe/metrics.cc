#include "server/observe/metrics.h"

#include <algorithm>
#include <sstream>

#include "core/tensor/allocator.h"
#include "prometheus/text_serializer.h"
#include "server/observe/process_metrics.h"

namespace tapewire {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

prometheus::ClientMetric gauge(double value, std::vector<prometheus::ClientMetric::Label> labels) {
  prometheus::ClientMetric metric;
  metric.gauge.value = value;
  metric.label = std::move(labels);
  return metric;
}

MetricFamily collect_tensor_bytes() {
  const CachingAllocator::Stats stats = tensor_allocator().stats();
  return {"tapewire_tensor_bytes",
          "Bytes of tensors and of what counts like them: in use (live), kept for reuse besides (cached), and the most "
          "that "
          "was ever in use (peak)",
          MetricType::Gauge,
          {gauge(static_cast<double>(stats.live), {{"kind", "live"}}),
           gauge(static_cast<double>(stats.cached), {{"kind", "cached"}}),
           gauge(static_cast<double>(stats.peak), {{"kind", "peak"}})}};
}

}  // namespace

void MethodMetrics::end(absl::StatusCode code, double seconds) {
  std::atomic<prometheus::Histogram*>& slot = by_code_[std::min(static_cast<size_t>(code), kCodes - 1)];
  prometheus::Histogram* histogram = slot.load(std::memory_order_acquire);
  if (histogram == nullptr) {
    // Adding a series that exists gives the same one, so a race here is harmless.
    histogram = &durations_.Add({{"method", method_}, {"code", absl::StatusCodeToString(code)}}, duration_buckets());
    slot.store(histogram, std::memory_order_release);
  }
  histogram->Observe(seconds);
  in_flight_.Decrement();
}

Metrics::Metrics(const BuildInfo& build, MetricsOptions options)
    : options_(options),
      rpc_durations_(prometheus::BuildHistogram()
                         .Name("tapewire_rpc_duration_seconds")
                         .Help("Time from a call's arrival to its answer")
                         .Register(registry_)),
      rpc_in_flight_(prometheus::BuildGauge()
                         .Name("tapewire_rpc_in_flight")
                         .Help("Calls that have arrived and are not answered")
                         .Register(registry_)),
      rejected_(prometheus::BuildCounter()
                    .Name("tapewire_rejected_total")
                    .Help("Calls refused by a limit, named by its flag, or because the server drains")
                    .Register(registry_)) {
  prometheus::BuildGauge()
      .Name("tapewire_build_info")
      .Help("The build that runs; always 1")
      .Register(registry_)
      .Add({{"version", std::string(build.version)}, {"commit", std::string(build.commit)}})
      .Set(1);
}

Metrics::~Metrics() = default;

std::shared_ptr<ModelMetrics> Metrics::add_model(const std::string& name) {
  auto model =
      options_.per_model ? std::make_shared<ModelMetrics>(name) : std::make_shared<ModelMetrics>(name, totals_);
  MutexLock lock(mutex_);
  models_.push_back(model);
  return model;
}

void Metrics::remove_model(const std::shared_ptr<ModelMetrics>& model) {
  MutexLock lock(mutex_);
  std::erase(models_, model);
}

int64_t Metrics::model_count() const {
  MutexLock lock(mutex_);
  return static_cast<int64_t>(models_.size());
}

MethodMetrics& Metrics::method(const std::string& name) {
  MutexLock lock(mutex_);
  const auto found = std::find_if(methods_.begin(), methods_.end(), [&](const auto& m) { return m.first == name; });
  if (found != methods_.end()) return *found->second;
  prometheus::Gauge& in_flight = rpc_in_flight_.Add({{"method", name}});
  methods_.emplace_back(name, std::make_unique<MethodMetrics>(name, rpc_durations_, in_flight));
  return *methods_.back().second;
}

void Metrics::add_rejected(const std::string& reason) { rejected_.Add({{"reason", reason}}).Increment(); }

std::string Metrics::text() const {
  std::vector<MetricFamily> families = registry_.Collect();
  const auto append = [&families](std::vector<MetricFamily> more) {
    std::move(more.begin(), more.end(), std::back_inserter(families));
  };
  std::vector<std::shared_ptr<ModelMetrics>> models;
  {
    MutexLock lock(mutex_);
    models = models_;
  }
  append(options_.per_model ? ModelMetrics::collect(models) : ModelMetrics::collect_totals(*totals_, models));
  append({{"tapewire_models", "Models", MetricType::Gauge, {gauge(static_cast<double>(models.size()), {})}}});
  append({collect_tensor_bytes()});
  append(collect_process_metrics());
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

}  // namespace tapewire
