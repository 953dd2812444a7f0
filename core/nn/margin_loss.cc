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

TripletMarginLoss::TripletMarginLoss(const Options& options) : TripleLoss(kArguments, options) {
  if (!(options.margin > 0)) {
    fail(kName, ": expected margin to be greater than 0, got ", Value(options.margin).repr(), " instead");
  }
}

Tensor TripletMarginLoss::forward(const Tensor& anchor, const Tensor& positive, const Tensor& negative) {
  return triplet_margin_loss(anchor, positive, negative, options_);
}

MultiMarginLoss::MultiMarginLoss(const Options& options) : PairLoss(options) {
  if (options.p != 1 && options.p != 2) fail(kName, ": only p == 1 and p == 2 supported, got ", options.p);
  if (options.weight.defined() && options.weight.dim() != 1) {
    fail(kName, ": expects a weight [C], got ", to_string(options.weight.spec()));
  }
  register_buffer("weight", options_.weight);
}

Tensor MultiMarginLoss::forward(const Tensor& input, const Tensor& target) {
  return multi_margin_loss(input, target, options_.weight, options_);
}

Tensor MultiLabelMarginLoss::forward(const Tensor& input, const Tensor& target) {
  return multilabel_margin_loss(input, target, options_);
}

namespace {
const ModuleFamily kFamily{module_def<MarginRankingLoss>(),   module_def<HingeEmbeddingLoss>(),
                           module_def<CosineEmbeddingLoss>(), module_def<TripletMarginLoss>(),
                           module_def<MultiMarginLoss>(),     module_def<MultiLabelMarginLoss>()};
}  // namespace

}  // namespace tapewire
