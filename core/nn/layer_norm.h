#pragma once

#include <optional>

#include "core/nn/layer_support.h"
#include "core/ops/layer_norm.h"

namespace tapewire {

/// Norms of each sample by itself: over its last dimensions, or over groups of its channels. float32 and float64.

struct LayerNormOptions {
  Shape normalized_shape;
  double eps = 1e-5;
  bool elementwise_affine = true;
  bool bias = true;
  static constexpr auto fields() {
    return std::tuple{required_field("normalized_shape", &LayerNormOptions::normalized_shape,
                                     "sizes of the last dimensions, which are normalised together"),
                      field("eps", &LayerNormOptions::eps, "added to the variance"),
                      field("elementwise_affine", &LayerNormOptions::elementwise_affine,
                            "learn a weight and a bias for each element"),
                      field("bias", &LayerNormOptions::bias, "false: of the two the weight alone")};
  }
};
struct RMSNormOptions {
  Shape normalized_shape;
  std::optional<double> eps;
  bool elementwise_affine = true;
  static constexpr auto fields() {
    return std::tuple{
        required_field("normalized_shape", &RMSNormOptions::normalized_shape,
                       "sizes of the last dimensions, which are normalised together"),
        field("eps", &RMSNormOptions::eps, "added to the mean square; none: the dtype's epsilon"),
        field("elementwise_affine", &RMSNormOptions::elementwise_affine, "learn a weight for each element")};
  }
};
struct GroupNormOptions {
  int64_t num_groups = 1;
  int64_t num_channels = 0;
  double eps = 1e-5;
  bool affine = true;
  static constexpr auto fields() {
    return std::tuple{
        required_field("num_groups", &GroupNormOptions::num_groups, "the channels are split into so many"),
        required_field("num_channels", &GroupNormOptions::num_channels, "channels of the input"),
        field("eps", &GroupNormOptions::eps, "added to the variance"),
        field("affine", &GroupNormOptions::affine, "learn a weight and a bias for each channel")};
  }
};

/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions of x [*, *normalized_shape]; weight starts as
/// ones, bias as zeros, both of normalized_shape. Ba et al., 2016. torch.nn.LayerNorm.
class LayerNorm final : public TensorModule {
 public:
  using Options = LayerNormOptions;
  static constexpr auto kName = "LayerNorm";
  static constexpr auto kDoc = "normalises the last dimensions of [*, *normalized_shape] together";
  explicit LayerNorm(const Options& options);
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 private:
  Options options_;
  Member<Tensor> weight_;
  Member<Tensor> bias_;
};

/// x / sqrt(mean(x^2) + eps) * weight over the last dimensions, likewise. Zhang and Sennrich, 2019. torch.nn.RMSNorm.
class RMSNorm final : public TensorModule {
 public:
  using Options = RMSNormOptions;
  static constexpr auto kName = "RMSNorm";
  static constexpr auto kDoc = "divides [*, *normalized_shape] by the root of its mean square over the last dimensions";
  explicit RMSNorm(const Options& options);
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  const Tensor& weight() const { return weight_; }

 private:
  Options options_;
  Member<Tensor> weight_;
};

/// LayerNorm of each of num_groups groups of channels of x [N, C, *]; weight and bias [C] scale and move by channel. Wu
/// and He, 2018. torch.nn.GroupNorm.
class GroupNorm final : public TensorModule {
 public:
  using Options = GroupNormOptions;
  static constexpr auto kName = "GroupNorm";
  static constexpr auto kDoc = "normalises each group of channels of [N, C, *] of each sample";
  explicit GroupNorm(const Options& options);
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override { return options_repr(options_, {.unnamed = 2}); }

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 private:
  Options options_;
  Member<Tensor> weight_;
  Member<Tensor> bias_;
};

}  // namespace tapewire
