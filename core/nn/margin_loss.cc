#include "core/nn/margin_loss.h"

#include "core/base/error.h"

namespace tapewire {

Tensor MarginRankingLoss::forward(const Tensor& input1, const Tensor& input2, const Tensor& target) {
  return margin_ranking_loss(input1, input2, target, options_);
}

Tensor HingeEmbeddingLoss::forward(const Tensor& input, const Tensor& target) {
  return hinge_embedding_loss(input, target, options_);
}

Tensor CosineEmbeddingLoss::forward(const Tensor& input1, const Tensor& input2, const Tensor& target) {
  return cosine_embedding_loss(input1, input2, target, options_);
}

double CosineEmbeddingLoss::divisor(std::span<const Tensor> arguments) const {
  return static_cast<double>(arguments[2].numel());
}

void CosineEmbeddingLoss::check_sizes(std::span<const Tensor> arguments) const {
  require_equal_sizes(*this, arguments, 2);
  const Tensor& x = arguments[0];
  const Tensor& target = arguments[2];
  if (target.dim() == 1 && x.dim() == 2 && target.size(0) != x.size(0)) {
    fail(kName, ": expects a target for each row of input1 ", to_string(x.sizes()), ", got ",
         to_string(target.sizes()));
  }
}

TripletMarginLoss::TripletMarginLoss(const Options& options) : TripleLoss(kArguments, options) {
  if (!(options.margin > 0)) {
    fail(kName, ": expected margin to be greater than 0, got ", Value(options.margin).repr(), " instead");
  }
}

Tensor TripletMarginLoss::forward(const Tensor& anchor, const Tensor& positive, const Tensor& negative) {
  return triplet_margin_loss(anchor, positive, negative, options_);
}

double TripletMarginLoss::divisor(std::span<const Tensor> arguments) const { return rows_of(arguments[0]); }

MultiMarginLoss::MultiMarginLoss(const Options& options) : ClassLoss(options) {
  if (options.p != 1 && options.p != 2) fail(kName, ": only p == 1 and p == 2 supported, got ", options.p);
  if (options.weight.defined() && options.weight.dim() != 1) {
    fail(kName, ": expects a weight [C], got ", to_string(options.weight.spec()));
  }
  register_buffer("weight", options_.weight);
}

Tensor MultiMarginLoss::forward(const Tensor& input, const Tensor& target) {
  return multi_margin_loss(input, target, options_.weight, options_);
}

double MultiMarginLoss::divisor(std::span<const Tensor> arguments) const { return rows_of(arguments[0]); }

Tensor MultiLabelMarginLoss::forward(const Tensor& input, const Tensor& target) {
  return multilabel_margin_loss(input, target, options_);
}

double MultiLabelMarginLoss::divisor(std::span<const Tensor> arguments) const { return rows_of(arguments[0]); }

namespace {
const ModuleFamily kFamily{module_def<MarginRankingLoss>(),   module_def<HingeEmbeddingLoss>(),
                           module_def<CosineEmbeddingLoss>(), module_def<TripletMarginLoss>(),
                           module_def<MultiMarginLoss>(),     module_def<MultiLabelMarginLoss>()};
}  // namespace

}  // namespace tapewire
