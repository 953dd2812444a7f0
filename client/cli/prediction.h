#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "tapewire/v1/tensor.pb.h"

namespace tapewire::client {

struct Prediction {
  std::vector<double> output;
  /// Of a classifier: the likeliest class and its probability.
  int64_t best = 0;
  double probability = 0;
};

/// The largest of `scores` and its probability. Scores that are probabilities (none negative, summing to 1) stay;
/// logits and log-probabilities go through softmax, which is exp for the latter. REQUIRES: scores are not empty.
Prediction classify(std::span<const double> scores);

/// One prediction a row of the output ([N] or [N, ...]). INVALID_ARGUMENT if it does not hold `samples` rows.
absl::StatusOr<std::vector<Prediction>> predictions_of(const v1::Tensor& output, int64_t samples);

}  // namespace tapewire::client
