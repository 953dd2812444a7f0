#pragma once

#include "core/ops/loss.h"

namespace tapewire {

/// Losses that want a margin kept, named as in torch.nn.functional.

struct MarginLossAttrs {
  double margin = 0;
  Reduction reduction = Reduction::kMean;
  static constexpr auto fields() {
    return std::tuple{field("margin", &MarginLossAttrs::margin, "how far apart is far enough"),
                      field("reduction", &MarginLossAttrs::reduction, "'mean', 'sum' or 'none'")};
  }
};
struct HingeEmbeddingLossAttrs {
  double margin = 1;
  Reduction reduction = Reduction::kMean;
  static constexpr auto fields() {
    return std::tuple{field("margin", &HingeEmbeddingLossAttrs::margin, "how large is large enough"),
                      field("reduction", &HingeEmbeddingLossAttrs::reduction, "'mean', 'sum' or 'none'")};
  }
};
struct TripletMarginLossAttrs {
  double margin = 1;
  double p = 2;
  double eps = 1e-6;
  bool swap = false;
  Reduction reduction = Reduction::kMean;
  static constexpr auto fields() {
    return std::tuple{field("margin", &TripletMarginLossAttrs::margin, "by how much the negative is to be farther"),
                      field("p", &TripletMarginLossAttrs::p, "of the distance's norm"),
                      field("eps", &TripletMarginLossAttrs::eps, "added to each difference"),
                      field("swap", &TripletMarginLossAttrs::swap,
                            "the negative's distance is that from the positive where this is nearer"),
                      field("reduction", &TripletMarginLossAttrs::reduction, "'mean', 'sum' or 'none'")};
  }
};
struct MultiMarginLossAttrs {
  int64_t p = 1;
  double margin = 1;
  Reduction reduction = Reduction::kMean;
  static constexpr auto fields() {
    return std::tuple{field("p", &MultiMarginLossAttrs::p, "power of each term: 1 or 2"),
                      field("margin", &MultiMarginLossAttrs::margin, "by how much the target is to be larger"),
                      field("reduction", &MultiMarginLossAttrs::reduction, "'mean', 'sum' or 'none'")};
  }
};

/// max(0, margin - target * (x1 - x2)), target being -1 or 1.
Tensor margin_ranking_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, const MarginLossAttrs& attrs = {});
/// x where target is 1, max(0, margin - x) where it is -1, their sum elsewhere.
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, const HingeEmbeddingLossAttrs& attrs = {});
/// With the cosine of x1 and x2 ([N, D] and target [N], or [D] and []): 1 - cos where target is 1, max(0, cos - margin)
/// where it is -1, 0 elsewhere.
Tensor cosine_embedding_loss(const Tensor& x1, const Tensor& x2, const Tensor& target,
                             const MarginLossAttrs& attrs = {});
/// max(0, margin + |anchor - positive| - |anchor - negative|) over the last dimension. Balntas et al., 2016.
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginLossAttrs& attrs = {});
/// The sum over classes i other than the target t of max(0, margin - x[t] + x[i])^p * weight[t], divided by the number
/// of classes. x is [N, C] or [C] with int64 targets [N] or []; weight [C] may be undefined.
Tensor multi_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                         const MultiMarginLossAttrs& attrs = {});
/// The sum over targets t and other classes i of max(0, 1 - (x[t] - x[i])), divided by the number of classes. x is [N,
/// C] or [C]; a row's targets (int64, of x's sizes) end at the first that is negative.
Tensor multilabel_margin_loss(const Tensor& x, const Tensor& target, const LossAttrs& attrs = {});

}  // namespace tapewire
