#include "core/nn/loss.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"

namespace tapewire {

Tensor MSELoss::forward(const Tensor& input, const Tensor& target) { return mse_loss(input, target, options_); }

NLLLoss::NLLLoss(const Options& options) : ClassLoss(options) { register_buffer("weight", options_.weight); }

Tensor NLLLoss::forward(const Tensor& input, const Tensor& target) {
  return nll_loss(input, target, options_.weight, options_);
}

CrossEntropyLoss::CrossEntropyLoss(const Options& options) : ClassLoss(options) {
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) {
    fail(kName, ": label_smoothing must be between 0.0 and 1.0. Got: ", Value(options.label_smoothing).repr());
  }
  register_buffer("weight", options_.weight);
}

Tensor CrossEntropyLoss::forward(const Tensor& input, const Tensor& target) {
  return cross_entropy(input, target, options_.weight, options_);
}

namespace {

// How many targets count, or the sum of their classes' weights.
double counted(const Tensor& target, const Tensor& weight, int64_t ignore_index) {
  const std::vector<int64_t> classes = target.to_vector<int64_t>();
  const std::vector<double> weights = weight.defined() ? weight.to_vector<double>() : std::vector<double>();
  double total = 0;
  for (const int64_t c : classes) {
    if (c != ignore_index) total += weights.empty() ? 1 : weights[static_cast<size_t>(c)];
  }
  return total;
}

}  // namespace

double NLLLoss::divisor(std::span<const Tensor> arguments) const {
  return counted(arguments[1], options_.weight, options_.ignore_index);
}

double CrossEntropyLoss::divisor(std::span<const Tensor> arguments) const {
  const Tensor& x = arguments[0];
  if (!is_floating(arguments[1].dtype())) return counted(arguments[1], options_.weight, options_.ignore_index);
  // Class probabilities: N and space, whatever the weights.
  const int64_t classes = x.size(x.dim() == 1 ? 0 : 1);
  return static_cast<double>(x.numel()) / static_cast<double>(std::max<int64_t>(classes, 1));
}

namespace {
const ModuleFamily kFamily{module_def<MSELoss>(), module_def<NLLLoss>(), module_def<CrossEntropyLoss>()};
}  // namespace

}  // namespace tapewire
