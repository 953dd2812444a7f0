#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/nn/module.h"

namespace tapewire {

struct BatchNormOptions {
  int64_t num_features = 0;
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;
  bool affine = true;
  bool track_running_stats = true;
  static constexpr auto fields() {
    return std::tuple{required_field("num_features", &BatchNormOptions::num_features, "channels of the input"),
                      field("eps", &BatchNormOptions::eps, "added to the variance"),
                      field("momentum", &BatchNormOptions::momentum,
                            "weight of the new statistics in the running ones; none: their cumulative average"),
                      field("affine", &BatchNormOptions::affine, "learn a weight and a bias for each channel"),
                      field("track_running_stats", &BatchNormOptions::track_running_stats,
                            "keep running statistics and use them in evaluation; false: always the batch's")};
  }
};

/// What BatchNorm1d, 2d and 3d share: each channel of x [N, C, *] is normalised by the biased variance, then scaled by
/// weight and moved by bias; running_var takes the unbiased variance. torch.nn.modules.batchnorm._BatchNorm.
class BatchNorm : public TensorModule {
 public:
  using Options = BatchNormOptions;

  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }
  const Tensor& running_mean() const { return running_mean_; }
  const Tensor& running_var() const { return running_var_; }
  /// int64 []: training batches seen.
  const Tensor& num_batches_tracked() const { return num_batches_tracked_; }

 protected:
  BatchNorm(std::string_view name, const Options& options);

  /// Throws "expected 4D input (got 3D input)".
  virtual void check_dims(int64_t dims) const = 0;

 private:
  Options options_;
  Member<Tensor> weight_;
  Member<Tensor> bias_;
  Member<Tensor> running_mean_;
  Member<Tensor> running_var_;
  Member<Tensor> num_batches_tracked_;
};

class BatchNorm1d final : public BatchNorm {
 public:
  static constexpr auto kName = "BatchNorm1d";
  static constexpr auto kDoc = "normalises each channel of [N, C] or [N, C, L] over the batch";
  explicit BatchNorm1d(const Options& options) : BatchNorm(kName, options) {}
  explicit BatchNorm1d(int64_t num_features) : BatchNorm1d(Options{num_features}) {}
  std::string_view type() const override { return kName; }

 protected:
  void check_dims(int64_t dims) const override;
};

class BatchNorm2d final : public BatchNorm {
 public:
  static constexpr auto kName = "BatchNorm2d";
  static constexpr auto kDoc = "normalises each channel of [N, C, H, W] over the batch";
  explicit BatchNorm2d(const Options& options) : BatchNorm(kName, options) {}
  explicit BatchNorm2d(int64_t num_features) : BatchNorm2d(Options{num_features}) {}
  std::string_view type() const override { return kName; }

 protected:
  void check_dims(int64_t dims) const override;
};

class BatchNorm3d final : public BatchNorm {
 public:
  static constexpr auto kName = "BatchNorm3d";
  static constexpr auto kDoc = "normalises each channel of [N, C, D, H, W] over the batch";
  explicit BatchNorm3d(const Options& options) : BatchNorm(kName, options) {}
  explicit BatchNorm3d(int64_t num_features) : BatchNorm3d(Options{num_features}) {}
  std::string_view type() const override { return kName; }

 protected:
  void check_dims(int64_t dims) const override;
};

}  // namespace tapewire
