#include "server/observe/model_metrics.h"

#include <utility>

namespace tapewire {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr std::array kPhases{"forward", "backward", "step", "infer", "evaluate"};
constexpr std::array kNonFinites{"loss", "gradient"};
constexpr std::array kHookDrops{"buffer_full", "block_timeout", "stream_lost", "memory", "too_large"};

Labels with(Labels labels, const char* name, const char* value) {
  labels.push_back({name, value});
  return labels;
}

void add(MetricFamily& family, ClientMetric metric, Labels labels) {
  metric.label = std::move(labels);
  family.metric.push_back(std::move(metric));
}

void add_gauge(MetricFamily& family, double value, Labels labels) {
  ClientMetric metric;
  metric.gauge.value = value;
  add(family, std::move(metric), std::move(labels));
}

void add_if_observed(MetricFamily& family, const prometheus::Histogram& histogram, Labels labels) {
  ClientMetric metric = histogram.Collect();
  if (metric.histogram.sample_count > 0) add(family, std::move(metric), std::move(labels));
}

template <size_t N>
void add_if_counted(MetricFamily& family, const std::array<prometheus::Counter, N>& counters,
                    const std::array<const char*, N>& values, const char* label, const Labels& labels) {
  for (size_t i = 0; i < N; ++i) {
    ClientMetric metric = counters[i].Collect();
    if (metric.counter.value > 0) add(family, std::move(metric), with(labels, label, values[i]));
  }
}

// The families of models, with their series as they are added.
struct Families {
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
  MetricFamily hook_dropped{"tapewire_hook_dropped_total",
                            "Events that watchers did not get, or (too_large) got without the data of tensors",
                            MetricType::Counter,
                            {}};
  MetricFamily hook_wait{
      "tapewire_hook_wait_seconds", "Time that computing waited for a hook's client", MetricType::Histogram, {}};

  void add_counts(const ModelCounts& counts, const Labels& labels) {
    add_if_observed(queue_wait, counts.queue_wait, labels);
    for (size_t i = 0; i < counts.compute.size(); ++i) {
      add_if_observed(compute, counts.compute[i], with(labels, "phase", kPhases[i]));
    }
    add(steps, counts.steps.Collect(), labels);
    add(samples, counts.samples.Collect(), labels);
    add_if_counted(nonfinite, counts.nonfinite, kNonFinites, "kind", labels);
    add(hook_events, counts.hook_events.Collect(), labels);
    add_if_counted(hook_dropped, counts.hook_dropped, kHookDrops, "reason", labels);
    add_if_observed(hook_wait, counts.hook_wait, labels);
  }

  // Those with series.
  std::vector<MetricFamily> take() {
    std::vector<MetricFamily> families;
    for (MetricFamily* family :
         {&queue_wait, &queue_depth, &compute, &steps, &samples, &loss, &grad_norm, &learning_rate, &version,
          &nonfinite, &tapes, &tape_bytes, &hooks, &hook_events, &hook_dropped, &hook_wait}) {
      if (!family->metric.empty()) families.push_back(std::move(*family));
    }
    return families;
  }
};

}  // namespace

std::vector<MetricFamily> ModelMetrics::collect(std::span<const std::shared_ptr<ModelMetrics>> models) {
  Families families;
  const auto add_if_set = [](MetricFamily& family, const OptionalGauge& value, const Labels& labels) {
    if (const std::optional<double> known = value.value()) add_gauge(family, *known, labels);
  };
  for (const std::shared_ptr<ModelMetrics>& m : models) {
    const Labels labels{{"model", m->model_}};
    families.add_counts(*m->counts_, labels);
    add_if_set(families.loss, m->loss_, labels);
    add_if_set(families.grad_norm, m->grad_norm_, labels);
    add_if_set(families.learning_rate, m->learning_rate_, labels);
    add_gauge(families.version, m->parameter_version_.Value(), labels);
    add_gauge(families.queue_depth, m->queue_depth_.Value(), labels);
    add_gauge(families.tapes, m->tapes_.Value(), labels);
    add_gauge(families.tape_bytes, m->tape_bytes_.Value(), labels);
    add_gauge(families.hooks, m->hooks_.Value(), labels);
  }
  return families.take();
}

std::vector<MetricFamily> ModelMetrics::collect_totals(const ModelCounts& counts,
                                                       std::span<const std::shared_ptr<ModelMetrics>> models) {
  Families families;
  families.add_counts(counts, {});
  const auto add_sum = [&models](MetricFamily& family, prometheus::Gauge ModelMetrics::* gauge) {
    double sum = 0;
    for (const std::shared_ptr<ModelMetrics>& m : models) sum += ((*m).*gauge).Value();
    add_gauge(family, sum, {});
  };
  add_sum(families.queue_depth, &ModelMetrics::queue_depth_);
  add_sum(families.tapes, &ModelMetrics::tapes_);
  add_sum(families.tape_bytes, &ModelMetrics::tape_bytes_);
  add_sum(families.hooks, &ModelMetrics::hooks_);
  return families.take();
}

}  // namespace tapewire
