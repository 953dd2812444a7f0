#pragma once

#include "core/nn/registry.h"
#include "core/ops/loss.h"

namespace tapewire {

/// Losses as modules, named as in torch.nn: called with an input and a target.

/// The squared difference, reduced; input and target broadcast.
class MSELoss final : public LossModule {
 public:
  using Options = LossAttrs;
  static constexpr auto kName = "MSELoss";
  static constexpr auto kDoc = "the squared difference of input and target";
  explicit MSELoss(const Options& options = {}) : options_(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  bool sums() const override { return options_.reduction == Reduction::kSum; }

 private:
  Options options_;
};

/// Minus the log-probability of each target class: input [N, C, *], target int64 [N, *].
class NLLLoss final : public LossModule {
 public:
  using Options = NllLossAttrs;
  static constexpr auto kName = "NLLLoss";
  static constexpr auto kDoc = "minus the log-probability of the target class";
  explicit NLLLoss(const Options& options = {}) : options_(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  bool sums() const override { return options_.reduction == Reduction::kSum; }

 private:
  Options options_;
};

/// NLLLoss of log_softmax: input [N, C, *] are logits, target classes int64 [N, *] or class probabilities [N, C, *].
class CrossEntropyLoss final : public LossModule {
 public:
  using Options = CrossEntropyAttrs;
  static constexpr auto kName = "CrossEntropyLoss";
  static constexpr auto kDoc = "cross entropy of logits and target classes or class probabilities";
  explicit CrossEntropyLoss(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
  bool sums() const override { return options_.reduction == Reduction::kSum; }

 private:
  Options options_;
};

}  // namespace tapewire
