#pragma once

#include "core/nn/loss_module.h"
#include "core/ops/loss.h"

namespace tapewire {

/// The losses that most networks are trained by, as modules named as in torch.nn.

/// The squared difference, reduced; input and target broadcast.
class MSELoss final : public PairLoss<LossAttrs> {
 public:
  static constexpr auto kName = "MSELoss";
  static constexpr auto kDoc = "the squared difference of input and target";
  explicit MSELoss(const Options& options = {}) : PairLoss(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
};

/// Minus the log-probability of each target class: input [N, C, *] or [C], target int64 [N, *] or []. `weight` is a
/// buffer.
class NLLLoss final : public ClassLoss<ClassWeighted<NllLossAttrs>> {
 public:
  static constexpr auto kName = "NLLLoss";
  static constexpr auto kDoc = "minus the log-probability of the target class";
  explicit NLLLoss(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double divisor(std::span<const Tensor> arguments) const override;
  std::optional<int64_t> ignore_index() const override { return options_.ignore_index; }
};

/// NLLLoss of log_softmax: input [N, C, *] or [C] are logits, target classes int64 [N, *] or [], or class probabilities
/// of the input's shape. `weight` is a buffer. Throws for a label_smoothing outside of [0, 1].
class CrossEntropyLoss final : public ClassLoss<ClassWeighted<CrossEntropyAttrs>> {
 public:
  static constexpr auto kName = "CrossEntropyLoss";
  static constexpr auto kDoc = "cross entropy of logits and target classes or class probabilities";
  explicit CrossEntropyLoss(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  double divisor(std::span<const Tensor> arguments) const override;
  std::optional<int64_t> ignore_index() const override { return options_.ignore_index; }
};

}  // namespace tapewire
