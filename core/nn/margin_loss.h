#pragma once

#include "core/nn/loss_module.h"
#include "core/ops/margin_loss.h"

namespace tapewire {

/// Losses that want a margin kept, as modules named as in torch.nn.

/// max(0, margin - target * (input1 - input2)), target being -1 or 1: all of one number of dimensions.
class MarginRankingLoss final : public TripleLoss<MarginLossAttrs> {
 public:
  static constexpr auto kName = "MarginRankingLoss";
  static constexpr auto kDoc = "how far input1 and input2 are from the order that target, 1 or -1, asks for";
  explicit MarginRankingLoss(const Options& options = {}) : TripleLoss(kArguments, options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input1, const Tensor& input2, const Tensor& target) override;

 private:
  static constexpr Arguments kArguments{"input1", "input2", "target"};
};

/// input where target is 1, max(0, margin - input) where it is -1.
class HingeEmbeddingLoss final : public PairLoss<HingeEmbeddingLossAttrs> {
 public:
  static constexpr auto kName = "HingeEmbeddingLoss";
  static constexpr auto kDoc = "of distances: small where target is 1, margin at least where it is -1";
  explicit HingeEmbeddingLoss(const Options& options = {}) : PairLoss(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
};

/// With the cosine of input1 and input2 ([N, D] and target [N], or [D] and []): 1 - cos where target is 1,
/// max(0, cos - margin) where it is -1.
class CosineEmbeddingLoss final : public TripleLoss<MarginLossAttrs> {
 public:
  static constexpr auto kName = "CosineEmbeddingLoss";
  static constexpr auto kDoc = "1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1";
  explicit CosineEmbeddingLoss(const Options& options = {}) : TripleLoss(kArguments, options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input1, const Tensor& input2, const Tensor& target) override;
  double divisor(std::span<const Tensor> arguments) const override;
  void check_sizes(std::span<const Tensor> arguments) const override;

 private:
  static constexpr Arguments kArguments{"input1", "input2", "target"};
};

/// max(0, margin + |anchor - positive| - |anchor - negative|) over the last dimension. Throws for a margin that is not
/// positive.
class TripletMarginLoss final : public TripleLoss<TripletMarginLossAttrs> {
 public:
  static constexpr auto kName = "TripletMarginLoss";
  static constexpr auto kDoc = "wants anchor to be nearer to positive than to negative, by margin";
  explicit TripletMarginLoss(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& anchor, const Tensor& positive, const Tensor& negative) override;
  double divisor(std::span<const Tensor> arguments) const override;

 private:
  static constexpr Arguments kArguments{"anchor", "positive", "negative"};
};

/// The mean over classes i other than the target t of max(0, margin - input[t] + input[i])^p * weight[t]: input [N, C]
/// or [C], target int64 [N] or []. `weight` is a buffer. Throws for a p other than 1 and 2, and a weight that is not
/// one-dimensional.
class MultiMarginLoss final : public ClassLoss<ClassWeighted<MultiMarginLossAttrs>> {
 public:
  static constexpr auto kName = "MultiMarginLoss";
  static constexpr auto kDoc = "the mean over classes of what lacks for the target class to be larger by margin";
  explicit MultiMarginLoss(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double divisor(std::span<const Tensor> arguments) const override;
};

/// The sum over targets t and other classes i of max(0, 1 - (input[t] - input[i])), divided by the number of classes:
/// input [N, C] or [C], target int64 of its sizes; a row's targets end at the first that is negative.
class MultiLabelMarginLoss final : public ClassLoss<LossAttrs> {
 public:
  static constexpr auto kName = "MultiLabelMarginLoss";
  static constexpr auto kDoc = "what lacks for each target class to be larger than the other classes by 1";
  explicit MultiLabelMarginLoss(const Options& options = {}) : ClassLoss(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double divisor(std::span<const Tensor> arguments) const override;
};

}  // namespace tapewire
