#include "client/cli/evaluation.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "client/cli/exit.h"

namespace tapewire::client {

std::vector<std::string> default_metrics(const Dataset& dataset) {
  return dataset.has_classes() ? std::vector<std::string>{"accuracy"} : std::vector<std::string>();
}

std::string input_name(const v1::Model& model) {
  const bool named = model.spec().inputs_size() > 0 && !model.spec().inputs(0).name().empty();
  return named ? model.spec().inputs(0).name() : "input";
}

v1::EvaluateResponse evaluate_all(const Client& client, const v1::Model& model, const Dataset& dataset,
                                  int64_t batch_size, const std::vector<std::string>& metrics,
                                  const std::function<void(int64_t)>& sent) {
  const std::string name = input_name(model);
  std::vector<int64_t> rows(static_cast<size_t>(dataset.size()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  size_t at = 0;
  const auto next = [&]() -> std::optional<Batch> {
    sent(static_cast<int64_t>(at));
    if (at == rows.size()) return std::nullopt;
    const size_t count = std::min(rows.size() - at, static_cast<size_t>(batch_size));
    Batch batch = dataset.batch(std::span(rows).subspan(at, count), name);
    at += count;
    return batch;
  };
  return from_server(client.evaluate(model.name(), {.metrics = metrics, .loss = {}}, next));
}

}  // namespace tapewire::client
