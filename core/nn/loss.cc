#include "core/nn/loss.h"

#include "core/base/error.h"

namespace tapewire {

Tensor MSELoss::forward(const Tensor& input, const Tensor& target) { return mse_loss(input, target, options_); }

NLLLoss::NLLLoss(const Options& options) : PairLoss(options) { register_buffer("weight", options_.weight); }

Tensor NLLLoss::forward(const Tensor& input, const Tensor& target) {
  return nll_loss(input, target, options_.weight, options_);
}

CrossEntropyLoss::CrossEntropyLoss(const Options& options) : PairLoss(options) {
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) {
    fail(kName, ": label_smoothing must be between 0.0 and 1.0. Got: ", Value(options.label_smoothing).repr());
  }
  register_buffer("weight", options_.weight);
}

Tensor CrossEntropyLoss::forward(const Tensor& input, const Tensor& target) {
  return cross_entropy(input, target, options_.weight, options_);
}

namespace {
const ModuleFamily kFamily{module_def<MSELoss>(), module_def<NLLLoss>(), module_def<CrossEntropyLoss>()};
}  // namespace

}  // namespace tapewire
