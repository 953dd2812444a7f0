#pragma once

#include <functional>
#include <string>
#include <vector>

#include "client/cli/dataset.h"
#include "client/cpp/client.h"

namespace tapewire::client {

/// The metrics that make sense for these targets if the user names none: "accuracy" of classes, else only the loss.
std::vector<std::string> default_metrics(const Dataset& dataset);

/// The name of the model's first input.
std::string input_name(const v1::Model& model);

/// Evaluates all samples in order, `batch_size` at a time; `sent` is told how many were sent so far, and may throw.
v1::EvaluateResponse evaluate_all(const Client& client, const v1::Model& model, const Dataset& dataset,
                                  int64_t batch_size, const std::vector<std::string>& metrics,
                                  const std::function<void(int64_t)>& sent);

}  // namespace tapewire::client
