#pragma once

#include "core/ops/loss.h"

namespace tapewire {

/// Losses of probabilities, named as in torch.nn.functional.

enum class KlReduction : uint8_t { kNone, kMean, kSum, kBatchMean };
template <>
struct EnumNames<KlReduction> {
  static constexpr std::array<std::string_view, 4> names{"none", "mean", "sum", "batchmean"};
};
struct KlDivAttrs {
  KlReduction reduction = KlReduction::kMean;
  bool log_target = false;
  static constexpr auto fields() {
    return std::tuple{
        field("reduction", &KlDivAttrs::reduction, "'mean', 'sum', 'none', or 'batchmean': the sum by the first size"),
        field("log_target", &KlDivAttrs::log_target, "target holds logarithms")};
  }
};

/// -(target * log(x) + (1 - target) * log(1 - x)), logarithms no less than -100; x, in [0, 1], and target are of one
/// size. weight, which may be undefined, broadcasts.
Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                            const LossAttrs& attrs = {});
/// The same of sigmoid(x), exact far out; pos_weight, which may be undefined, multiplies the terms of target.
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                                        const Tensor& pos_weight = {}, const LossAttrs& attrs = {});
/// target * (log(target) - x), 0 where target is; x holds logarithms. Kullback and Leibler, 1951.
Tensor kl_div(const Tensor& x, const Tensor& target, const KlDivAttrs& attrs = {});
/// log(1 + exp(-target * x)), target being -1 or 1.
Tensor soft_margin_loss(const Tensor& x, const Tensor& target, const LossAttrs& attrs = {});
/// The mean over the last dimension of binary_cross_entropy_with_logits; weight [C] may be undefined.
Tensor multilabel_soft_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                                   const LossAttrs& attrs = {});

}  // namespace tapewire
