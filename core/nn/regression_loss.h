#pragma once

#include "core/nn/loss_module.h"
#include "core/ops/regression_loss.h"

namespace tapewire {

/// Losses of numbers to be met, as modules named as in torch.nn. Input and target broadcast and promote.

/// |input - target|; the slope at 0 is 0.
class L1Loss final : public PairLoss<LossAttrs> {
 public:
  static constexpr auto kName = "L1Loss";
  static constexpr auto kDoc = "the absolute difference of input and target";
  explicit L1Loss(const Options& options = {}) : PairLoss(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
};

/// A parabola in |input - target| below beta, |input - target| - beta / 2 above; a negative beta throws when called.
class SmoothL1Loss final : public PairLoss<SmoothL1LossAttrs> {
 public:
  static constexpr auto kName = "SmoothL1Loss";
  static constexpr auto kDoc = "L1Loss with a parabola where input and target differ by less than beta";
  explicit SmoothL1Loss(const Options& options = {}) : PairLoss(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
};

/// delta times SmoothL1Loss with beta = delta; a delta that is not positive throws when called.
class HuberLoss final : public PairLoss<HuberLossAttrs> {
 public:
  static constexpr auto kName = "HuberLoss";
  static constexpr auto kDoc = "half the squared difference up to delta, then delta times the absolute one";
  explicit HuberLoss(const Options& options = {}) : PairLoss(options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target) override;
};

/// The negative log likelihood of counts (the target) under rates or, by default, their logarithms: the argument
/// "log_input" in either case.
class PoissonNLLLoss final : public PairLoss<PoissonNllLossAttrs> {
 public:
  static constexpr auto kName = "PoissonNLLLoss";
  static constexpr auto kDoc = "the negative log likelihood of counts under a rate, or its logarithm";
  explicit PoissonNLLLoss(const Options& options = {}) : PairLoss(kArguments, options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& log_input, const Tensor& target) override;

 private:
  static constexpr Arguments kArguments{"log_input", "target"};
};

/// The negative log likelihood of target under a normal distribution of mean input and variance var: of input's sizes,
/// or those without the last dimension or with 1 there. Throws for a negative variance.
class GaussianNLLLoss final : public TripleLoss<GaussianNllLossAttrs> {
 public:
  static constexpr auto kName = "GaussianNLLLoss";
  static constexpr auto kDoc =
      "the negative log likelihood of target under a normal distribution of mean input and variance var";
  explicit GaussianNLLLoss(const Options& options = {}) : TripleLoss(kArguments, options) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& input, const Tensor& target, const Tensor& var) override;
  void check_sizes(std::span<const Tensor> arguments) const override;

 private:
  static constexpr Arguments kArguments{"input", "target", "var"};
};

}  // namespace tapewire
