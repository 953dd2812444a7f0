#pragma once

#include "core/nn/module.h"
#include "core/ops/distance.h"

namespace tapewire {

/// Distances between vectors as layers: forward(x1, x2).

/// The cosine of the angle between x1 and x2 along dim; they broadcast. torch.nn.CosineSimilarity.
class CosineSimilarity final : public Module {
 public:
  using Options = CosineSimilarityAttrs;
  static constexpr auto kName = "CosineSimilarity";
  static constexpr auto kDoc = "the cosine of the angle between x1 and x2 along dim";
  explicit CosineSimilarity(const Options& options = {});
  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;

 private:
  Options options_;
};

/// The p-norm of x1 - x2 + eps over the last dimension; they broadcast. torch.nn.PairwiseDistance.
class PairwiseDistance final : public Module {
 public:
  using Options = PairwiseDistanceAttrs;
  static constexpr auto kName = "PairwiseDistance";
  static constexpr auto kDoc = "the p-norm of x1 - x2 + eps over the last dimension";
  explicit PairwiseDistance(const Options& options = {});
  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;

 private:
  Options options_;
};

}  // namespace tapewire
