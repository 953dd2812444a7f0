#pragma once

#include <optional>

#include "core/nn/layer_support.h"
#include "core/ops/normalization.h"

namespace tapewire {

/// Norms by channel of x [N, C, *]. layer_norm.h has those of each sample by itself.

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
                            "weight of the new statistics in the running ones; none: batch norm takes their "
                            "cumulative average, instance norm keeps them"),
                      field("affine", &BatchNormOptions::affine, "learn a weight and a bias for each channel"),
                      field("track_running_stats", &BatchNormOptions::track_running_stats,
                            "keep running statistics and use them in evaluation; false: always the batch's")};
  }
};
/// The same with instance norm's defaults.
struct InstanceNormOptions : BatchNormOptions {
  InstanceNormOptions() {
    affine = false;
    track_running_stats = false;
  }
};

/// What batch and instance norms share: the parameters weight and bias [C] (if affine), the buffers running_mean,
/// running_var [C] and num_batches_tracked [] (if tracking). torch.nn.modules.batchnorm._NormBase.
class ChannelNorm : public TensorModule {
 public:
  std::string extra_repr() const override { return options_repr(options_, {.unnamed = 1}); }

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }
  const Tensor& running_mean() const { return running_mean_; }
  const Tensor& running_var() const { return running_var_; }
  /// int64 []: training batches seen.
  const Tensor& num_batches_tracked() const { return num_batches_tracked_; }

 protected:
  ChannelNorm(std::string_view name, const BatchNormOptions& options);

  const BatchNormOptions& options() const { return options_; }
  /// Whether x is normalised by its own statistics rather than the running ones.
  bool by_input() const { return training() || !options_.track_running_stats; }

 private:
  BatchNormOptions options_;
  Member<Tensor> weight_;
  Member<Tensor> bias_;
  Member<Tensor> running_mean_;
  Member<Tensor> running_var_;
  Member<Tensor> num_batches_tracked_;
};

/// What BatchNorm1d, 2d and 3d share: each channel of x [N, C, *] is normalised by the biased variance, then scaled by
/// weight and moved by bias; running_var takes the unbiased variance. torch.nn.modules.batchnorm._BatchNorm.
class BatchNorm : public ChannelNorm {
 public:
  using Options = BatchNormOptions;

  /// Throws "expected 4D input (got 3D input)".
  Tensor forward(const Tensor& x) override;

 protected:
  BatchNorm(std::string_view name, int64_t spatial, const Options& options)
      : ChannelNorm(name, options), spatial_(spatial) {}

 private:
  int64_t spatial_;
};

class BatchNorm1d final : public BatchNorm {
 public:
  static constexpr auto kName = "BatchNorm1d";
  static constexpr auto kDoc = "normalises each channel of [N, C] or [N, C, L] over the batch";
  explicit BatchNorm1d(const Options& options) : BatchNorm(kName, 1, options) {}
  explicit BatchNorm1d(int64_t num_features) : BatchNorm1d(Options{num_features}) {}
  std::string_view type() const override { return kName; }
};

class BatchNorm2d final : public BatchNorm {
 public:
  static constexpr auto kName = "BatchNorm2d";
  static constexpr auto kDoc = "normalises each channel of [N, C, H, W] over the batch";
  explicit BatchNorm2d(const Options& options) : BatchNorm(kName, 2, options) {}
  explicit BatchNorm2d(int64_t num_features) : BatchNorm2d(Options{num_features}) {}
  std::string_view type() const override { return kName; }
};

class BatchNorm3d final : public BatchNorm {
 public:
  static constexpr auto kName = "BatchNorm3d";
  static constexpr auto kDoc = "normalises each channel of [N, C, D, H, W] over the batch";
  explicit BatchNorm3d(const Options& options) : BatchNorm(kName, 3, options) {}
  explicit BatchNorm3d(int64_t num_features) : BatchNorm3d(Options{num_features}) {}
  std::string_view type() const override { return kName; }
};

/// What InstanceNorm1d, 2d and 3d share: each channel of each sample of x [N, C, *], or of x [C, *], by itself.
/// torch.nn.modules.instancenorm._InstanceNorm.
class InstanceNorm : public ChannelNorm {
 public:
  using Options = InstanceNormOptions;

  /// Throws "expected 3D or 4D input (got 2D input)", and for other channels than num_features if affine.
  Tensor forward(const Tensor& x) override;

 protected:
  InstanceNorm(std::string_view name, int64_t spatial, const Options& options)
      : ChannelNorm(name, options), spatial_(spatial) {}

 private:
  int64_t spatial_;
};

class InstanceNorm1d final : public InstanceNorm {
 public:
  static constexpr auto kName = "InstanceNorm1d";
  static constexpr auto kDoc = "normalises each channel of each sample of [N, C, L] by itself";
  explicit InstanceNorm1d(const Options& options) : InstanceNorm(kName, 1, options) {}
  std::string_view type() const override { return kName; }
};

class InstanceNorm2d final : public InstanceNorm {
 public:
  static constexpr auto kName = "InstanceNorm2d";
  static constexpr auto kDoc = "normalises each channel of each sample of [N, C, H, W] by itself";
  explicit InstanceNorm2d(const Options& options) : InstanceNorm(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

class InstanceNorm3d final : public InstanceNorm {
 public:
  static constexpr auto kName = "InstanceNorm3d";
  static constexpr auto kDoc = "normalises each channel of each sample of [N, C, D, H, W] by itself";
  explicit InstanceNorm3d(const Options& options) : InstanceNorm(kName, 3, options) {}
  std::string_view type() const override { return kName; }
};

/// x / (k + alpha * mean of squares over `size` neighbouring channels)^beta. Krizhevsky et al., 2012.
/// torch.nn.LocalResponseNorm.
class LocalResponseNorm final : public StatelessLayer<LocalResponseNorm, LocalResponseNormAttrs> {
 public:
  static constexpr auto kName = "LocalResponseNorm";
  static constexpr auto kDoc = "divides [N, C, *] by a power of the mean of squares over neighbouring channels";
  explicit LocalResponseNorm(const Options& options);
  Tensor forward(const Tensor& x) override { return local_response_norm(x, options()); }
  std::string extra_repr() const override { return options_repr(options(), {.unnamed = 1}); }
};

}  // namespace tapewire
