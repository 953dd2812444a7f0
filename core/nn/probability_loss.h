#pragma once

#include "core/nn/loss_module.h"
#include "core/ops/probability_loss.h"

namespace tapewire {

/// Losses of probabilities, as modules named as in torch.nn. Weights are buffers.

struct BceLossOptions : LossAttrs {
  Tensor weight;  // undefined: ones
  static constexpr auto fields() {
    return std::tuple_cat(std::tuple{field("weight", &BceLossOptions::weight,
                                           "multiplies the losses, to whose sizes it broadcasts; a list is one of "
                                           "float32")},
                          LossAttrs::fields());
  }
};
struct BceWithLogitsLossOptions : BceLossOptions {
  Tensor pos_weight;  // undefined: ones
  static constexpr auto fields() {
    return std::tuple_cat(
        BceLossOptions::fields(),
        std::tuple{field("pos_weight", &BceWithLogitsLossOptions::pos_weight,
                         "multiplies the terms of target, to whose sizes it broadcasts; a list is one of float32")});
  }
};

/// -(target * log(input) + (1 - target) * log(1 - input)), logarithms no less than -100; input, in [0, 1], and target
/// are of one size.
class BCELoss final : public PairLoss<BceLossOptions> {
 public:
  static constexpr auto kName = "BCELoss";
  static constexpr auto kDoc = "binary cross entropy of probabilities and target";
  explicit BCELoss(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  Scores scores() const override { return Scores::kProbabilities; }
};

/// BCELoss of sigmoid(input), exact far out.
class BCEWithLogitsLoss final : public PairLoss<BceWithLogitsLossOptions> {
 public:
  static constexpr auto kName = "BCEWithLogitsLoss";
  static constexpr auto kDoc = "binary cross entropy of logits and target";
  explicit BCEWithLogitsLoss(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  Scores scores() const override { return Scores::kLogits; }
};

/// target * (log(target) - input): input holds logarithms, and with log_target target does too.
class KLDivLoss final : public PairLoss<KlDivAttrs> {
 public:
  static constexpr auto kName = "KLDivLoss";
  static constexpr auto kDoc =
      "how far target is from input, which holds logarithms: Kullback and Leibler's divergence";
  explicit KLDivLoss(const Options& options = {}) : PairLoss(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double divisor(std::span<const Tensor> arguments) const override;
};

/// log(1 + exp(-target * input)), target being -1 or 1.
class SoftMarginLoss final : public PairLoss<LossAttrs> {
 public:
  static constexpr auto kName = "SoftMarginLoss";
  static constexpr auto kDoc = "logistic loss of input and a target of -1 or 1";
  explicit SoftMarginLoss(const Options& options = {}) : PairLoss(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  Scores scores() const override { return Scores::kLogits; }
};

/// The mean over the last dimension, the classes, of BCEWithLogitsLoss.
class MultiLabelSoftMarginLoss final : public PairLoss<ClassWeighted<LossAttrs>> {
 public:
  static constexpr auto kName = "MultiLabelSoftMarginLoss";
  static constexpr auto kDoc = "the mean over classes of the binary cross entropy of logits and target";
  explicit MultiLabelSoftMarginLoss(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double divisor(std::span<const Tensor> arguments) const override;
  Scores scores() const override { return Scores::kLogits; }
};

}  // namespace tapewire
