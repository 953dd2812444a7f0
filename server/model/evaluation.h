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

/// The loss and the metrics of one Evaluate, added up over its batches. One thread at a time.
class Evaluation {
 public:
  /// `loss` may have no module: none is computed. Throws for a metric that is unknown or named twice.
  Evaluation(std::vector<std::string> metrics, BuiltLoss loss);

  /// Adds a batch for which the model put out `outputs`. Throws when they and the targets do not fit the loss or a
  /// metric.
  void add(const EvaluateBatch& batch, const std::vector<NamedTensor>& outputs);

  int64_t samples() const { return samples_; }
  /// None without a loss, and before the first sample.
  std::optional<double> loss() const;
  std::map<std::string, double> metrics() const;

  int64_t parameter_version = 0;

 private:
  std::vector<std::string> metrics_;
  BuiltLoss loss_;
  int64_t samples_ = 0;
  double loss_sum_ = 0;
  std::map<std::string, double> sums_;
};

}  // namespace tapewire
