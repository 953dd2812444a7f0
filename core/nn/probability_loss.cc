#include "core/nn/probability_loss.h"

namespace tapewire {

BCELoss::BCELoss(const Options& options) : PairLoss(options) { register_buffer("weight", options_.weight); }

Tensor BCELoss::forward(const Tensor& input, const Tensor& target) {
  return binary_cross_entropy(input, target, options_.weight, options_);
}

BCEWithLogitsLoss::BCEWithLogitsLoss(const Options& options) : PairLoss(options) {
  register_buffer("weight", options_.weight);
  register_buffer("pos_weight", options_.pos_weight);
}

Tensor BCEWithLogitsLoss::forward(const Tensor& input, const Tensor& target) {
  return binary_cross_entropy_with_logits(input, target, options_.weight, options_.pos_weight, options_);
}

Tensor KLDivLoss::forward(const Tensor& input, const Tensor& target) { return kl_div(input, target, options_); }

double KLDivLoss::divisor(std::span<const Tensor> arguments) const {
  const Tensor& x = arguments[0];
  if (options_.reduction != KlReduction::kBatchMean) return static_cast<double>(x.numel());
  return x.dim() == 0 ? 1 : static_cast<double>(x.size(0));
}

Tensor SoftMarginLoss::forward(const Tensor& input, const Tensor& target) {
  return soft_margin_loss(input, target, options_);
}

MultiLabelSoftMarginLoss::MultiLabelSoftMarginLoss(const Options& options) : PairLoss(options) {
  register_buffer("weight", options_.weight);
}

Tensor MultiLabelSoftMarginLoss::forward(const Tensor& input, const Tensor& target) {
  return multilabel_soft_margin_loss(input, target, options_.weight, options_);
}

double MultiLabelSoftMarginLoss::divisor(std::span<const Tensor> arguments) const { return rows_of(arguments[0]); }

namespace {
const ModuleFamily kFamily{module_def<BCELoss>(), module_def<BCEWithLogitsLoss>(), module_def<KLDivLoss>(),
                           module_def<SoftMarginLoss>(), module_def<MultiLabelSoftMarginLoss>()};
}  // namespace

}  // namespace tapewire
