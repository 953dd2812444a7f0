#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Norms of each sample by itself: over its last dimensions, or over groups of its channels.

struct LayerNormAttrs {
  Shape normalized_shape;
  double eps = 1e-5;
  static constexpr auto fields() {
    return std::tuple{required_field("normalized_shape", &LayerNormAttrs::normalized_shape,
                                     "sizes of the last dimensions, which are normalised together"),
                      field("eps", &LayerNormAttrs::eps, "added to the variance")};
  }
};
struct RmsNormAttrs {
  Shape normalized_shape;
  std::optional<double> eps;
  static constexpr auto fields() {
    return std::tuple{required_field("normalized_shape", &RmsNormAttrs::normalized_shape,
                                     "sizes of the last dimensions, which are normalised together"),
                      field("eps", &RmsNormAttrs::eps, "added to the mean square; none: the dtype's epsilon")};
  }
};
struct GroupNormAttrs {
  int64_t num_groups = 1;
  double eps = 1e-5;
  static constexpr auto fields() {
    return std::tuple{required_field("num_groups", &GroupNormAttrs::num_groups, "the channels are split into so many"),
                      field("eps", &GroupNormAttrs::eps, "added to the variance")};
  }
};
struct InstanceNormAttrs {
  bool use_input_stats = true;
  double momentum = 0.1;
  double eps = 1e-5;
  static constexpr auto fields() {
    return std::tuple{
        field("use_input_stats", &InstanceNormAttrs::use_input_stats,
              "normalise by each instance's statistics and move the running ones"),
        field("momentum", &InstanceNormAttrs::momentum, "weight of the new statistics in the running ones"),
        field("eps", &InstanceNormAttrs::eps, "added to the variance")};
  }
};

// All take float32 and float64; weight and bias may be undefined.

/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, which are normalized_shape; mean and (biased)
/// variance are theirs, weight and bias of that shape.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const LayerNormAttrs& attrs);
/// x / sqrt(mean(x^2) + eps) * weight over the last dimensions, likewise. Zhang and Sennrich, 2019.
Tensor rms_norm(const Tensor& x, const Tensor& weight, const RmsNormAttrs& attrs);
/// layer_norm of each of num_groups groups of channels of x [N, C, *]; weight and bias [C] scale and move by channel.
Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const GroupNormAttrs& attrs);
/// Each channel of each sample of x [N, C, *] normalised by itself. running_mean and running_var [C], if defined, move
/// in place towards the batch's averages; without use_input_stats they are used instead.
Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, const InstanceNormAttrs& attrs = {});

}  // namespace tapewire
