#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "server/model/loss.h"

namespace tapewire {

/// The first size of the first input; 1 where there is none.
int64_t batch_size(const std::vector<NamedTensor>& inputs);

struct EvaluateBatch {
  std::vector<NamedTensor> inputs;
  std::vector<NamedTensor> targets;
};

/// The loss and the metrics of one Evaluate, each the mean over all batches of what it counts:
/// - the loss: what LossModule::divisor says (targets that count, or their classes' weights; elements; rows), or
/// samples
///   for a loss that sums;
/// - "accuracy" and "top5": targets other than the loss's ignore_index (-100 where it has none). A target is an int64
///   class for scores [N, C, *] (target [N, *]) or [C] (target []), or class probabilities of the scores' shape, of
///   which the largest counts, or with a loss of yes-or-no questions (LossModule::scores) each element, yes above 0.5.
///   Scores with a NaN hit nothing; of equal scores the first class wins;
/// - "mae" and "mse": elements.
/// Metrics judge the output that the loss names, or the first. What counted nothing is left out. One thread at a time.
class Evaluation {
 public:
  /// `loss` may have no module: none is computed. Throws for a metric that is unknown or named twice.
  Evaluation(std::vector<std::string> metrics, BuiltLoss loss);

  /// Adds a batch for which the model put out `outputs`, or nothing when it throws: because they and the targets do not
  /// fit the loss or a metric, or because the call was cancelled.
  void add(const EvaluateBatch& batch, const std::vector<NamedTensor>& outputs);

  int64_t samples() const { return samples_; }
  std::optional<double> loss() const;
  std::map<std::string, double> metrics() const;

  int64_t parameter_version = 0;

  /// A sum, and what its mean divides it by.
  struct Tally {
    double sum = 0;
    double count = 0;
  };

 private:
  Tally judge(const std::string& metric, const Tensor& output, const Tensor& target) const;
  Tally count_hits(const std::string& metric, const Tensor& output, const Tensor& target) const;

  BuiltLoss loss_;
  int64_t samples_ = 0;
  LossSum loss_sum_;
  std::map<std::string, Tally> metrics_;
};

}  // namespace tapewire
