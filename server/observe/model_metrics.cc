#include "server/observe/model_metrics.h"

#include <utility>

namespace tapewire {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::array kPhases{"forward", "backward", "step", "infer", "evaluate"};
constexpr std::array kNonFinites{"loss", "gradient"};
constexpr std::array kHookDrops{"buffer_full", "block_timeout", "stream_lost", "memory", "too_large"};

void add(MetricFamily& family, ClientMetric metric, std::vector<ClientMetric::Label> labels) {
  metric.label = std::move(labels);
  family.metric.push_back(std::move(metric));
}

ClientMetric gauge(double value) {
  ClientMetric metric;
  metric.gauge.value = value;
  return metric;
}

}  // namespace

std::vector<MetricFamily> ModelMetrics::collect(std::span<const std::shared_ptr<ModelMetrics>> models) {
  MetricFamily queue_wait{
      "tapewire_queue_wait_seconds", "Time that calls waited for their turn on the model", MetricType::Histogram, {}};
  MetricFamily queue_depth{
      "tapewire_queue_depth", "Calls that wait for their turn on the model", MetricType::Gauge, {}};
  MetricFamily compute{"tapewire_compute_seconds", "Time that the model computed", MetricType::Histogram, {}};
  MetricFamily steps{"tapewire_steps_total", "Optimizer steps", MetricType::Counter, {}};
  MetricFamily samples{"tapewire_samples_total", "Samples trained on", MetricType::Counter, {}};
  MetricFamily loss{"tapewire_loss", "Loss of the last training step", MetricType::Gauge, {}};
  MetricFamily grad_norm{
      "tapewire_grad_norm", "Norm of the last step's gradient, before clipping", MetricType::Gauge, {}};
  MetricFamily learning_rate{"tapewire_learning_rate", "Learning rate of the last step", MetricType::Gauge, {}};
  MetricFamily version{"tapewire_parameter_version", "Version of the parameters", MetricType::Gauge, {}};
  MetricFamily nonfinite{
      "tapewire_nonfinite_total", "Losses and gradients that were not finite", MetricType::Counter, {}};
  MetricFamily tapes{"tapewire_tapes", "Tapes that are kept", MetricType::Gauge, {}};
  MetricFamily tape_bytes{"tapewire_tape_bytes", "Bytes that kept tapes hold", MetricType::Gauge, {}};
  MetricFamily hooks{"tapewire_hooks", "Registered hooks", MetricType::Gauge, {}};
  MetricFamily hook_events{"tapewire_hook_events_total", "Events that hooks sent to watchers", MetricType::Counter, {}};
  MetricFamily hook_dropped{"tapewire_hook_dropped_total", "Events that were dropped", MetricType::Counter, {}};
  MetricFamily hook_wait{
      "tapewire_hook_wait_seconds", "Time that computing waited for a hook's client", MetricType::Histogram, {}};

  for (const std::shared_ptr<ModelMetrics>& m : models) {
    const ClientMetric::Label name{"model", m->model_};
    const auto add_optional = [&](MetricFamily& family, const OptionalGauge& value) {
      if (const std::optional<double> known = value.value()) add(family, gauge(*known), {name});
    };
    const auto add_counters = [&](MetricFamily& family, const auto& counters, const auto& values, const char* label) {
      for (size_t i = 0; i < counters.size(); ++i) add(family, counters[i].Collect(), {name, {label, values[i]}});
    };
    add(queue_wait, m->queue_wait_.Collect(), {name});
    add(queue_depth, m->queue_depth_.Collect(), {name});
    for (size_t i = 0; i < m->compute_.size(); ++i) {
      ClientMetric phase = m->compute_[i].Collect();
      if (phase.histogram.sample_count > 0) add(compute, std::move(phase), {name, {"phase", kPhases[i]}});
    }
    add(steps, m->steps_.Collect(), {name});
    add(samples, m->samples_.Collect(), {name});
    add_optional(loss, m->loss_);
    add_optional(grad_norm, m->grad_norm_);
    add_optional(learning_rate, m->learning_rate_);
    add(version, m->parameter_version_.Collect(), {name});
    add_counters(nonfinite, m->nonfinite_, kNonFinites, "kind");
    add(tapes, m->tapes_.Collect(), {name});
    add(tape_bytes, m->tape_bytes_.Collect(), {name});
    add(hooks, m->hooks_.Collect(), {name});
    add(hook_events, m->hook_events_.Collect(), {name});
    add_counters(hook_dropped, m->hook_dropped_, kHookDrops, "reason");
    add(hook_wait, m->hook_wait_.Collect(), {name});
  }

  std::vector<MetricFamily> families;
  for (MetricFamily* family :
       {&queue_wait, &queue_depth, &compute, &steps, &samples, &loss, &grad_norm, &learning_rate, &version, &nonfinite,
        &tapes, &tape_bytes, &hooks, &hook_events, &hook_dropped, &hook_wait}) {
    if (!family->metric.empty()) families.push_back(std::move(*family));
  }
  return families;
}

}  // namespace tapewire
