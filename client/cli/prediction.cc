#include "client/cli/prediction.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "client/cpp/tensor.h"

namespace tapewire::client {

Prediction classify(std::span<const double> scores) {
  const auto best = std::max_element(scores.begin(), scores.end());
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  const bool probabilities =
      std::abs(sum - 1) < 1e-3 && std::all_of(scores.begin(), scores.end(), [](double score) { return score >= 0; });
  double exp_sum = 0;
  for (const double score : scores) exp_sum += std::exp(score - *best);
  return {.output = {scores.begin(), scores.end()},
          .best = best - scores.begin(),
          .probability = probabilities ? *best : 1 / exp_sum};
}

absl::StatusOr<std::vector<Prediction>> predictions_of(const v1::Tensor& output, int64_t samples) {
  auto values = to_doubles(output);
  if (!values.ok()) return values.status();
  if (output.shape_size() == 0 || output.shape(0) != samples || values->empty()) {
    return absl::InvalidArgumentError(absl::StrCat("the output's shape ", shape_text_of(output),
                                                   " does not begin with the number of samples, ", samples));
  }
  const size_t width = values->size() / static_cast<size_t>(samples);
  std::vector<Prediction> predictions;
  for (size_t at = 0; at < values->size(); at += width) {
    predictions.push_back(classify(std::span(*values).subspan(at, width)));
  }
  return predictions;
}

}  // namespace tapewire::client
