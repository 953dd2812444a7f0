#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Activations made of straight pieces (hardswish: of parabolas too), named as in torch.nn.functional; `name_` is the
/// in-place form. Floats only where not said otherwise.

struct HardtanhAttrs {
  Scalar min_val = -1.0;
  Scalar max_val = 1.0;
  static constexpr auto fields() {
    return std::tuple{field("min_val", &HardtanhAttrs::min_val, "least result"),
                      field("max_val", &HardtanhAttrs::max_val, "largest result")};
  }
};
struct LeakyReluAttrs {
  double negative_slope = 0.01;
  static constexpr auto fields() {
    return std::tuple{field("negative_slope", &LeakyReluAttrs::negative_slope, "slope below 0")};
  }
};
struct ShrinkAttrs {
  double lambd = 0.5;
  static constexpr auto fields() {
    return std::tuple{field("lambd", &ShrinkAttrs::lambd, "half the width of what becomes 0")};
  }
};
struct ThresholdAttrs {
  Scalar threshold = 0;
  Scalar value = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("threshold", &ThresholdAttrs::threshold, "what is above it stays"),
                      required_field("value", &ThresholdAttrs::value, "in the place of the rest")};
  }
};
struct RreluAttrs {
  double lower = 1.0 / 8;
  double upper = 1.0 / 3;
  bool training = false;
  static constexpr auto fields() {
    return std::tuple{field("lower", &RreluAttrs::lower, "least slope below 0"),
                      field("upper", &RreluAttrs::upper, "end of the slopes"),
                      field("training", &RreluAttrs::training, "false: the slope is their mean")};
  }
};

/// min(max(x, 0), 6), of integers too; the slope at 0 and at 6 is 0.
Tensor relu6(const Tensor& x);
Tensor relu6_(const Tensor& x);
/// min(max(x, min_val), max_val), of integers too; the slope at both is 0.
Tensor hardtanh(const Tensor& x, const HardtanhAttrs& attrs = {});
Tensor hardtanh_(const Tensor& x, const HardtanhAttrs& attrs = {});
/// relu6(x + 3) / 6.
Tensor hardsigmoid(const Tensor& x);
Tensor hardsigmoid_(const Tensor& x);
/// x relu6(x + 3) / 6.
Tensor hardswish(const Tensor& x);
Tensor hardswish_(const Tensor& x);
/// x where positive, else negative_slope * x.
Tensor leaky_relu(const Tensor& x, const LeakyReluAttrs& attrs = {});
Tensor leaky_relu_(const Tensor& x, const LeakyReluAttrs& attrs = {});
/// x where above the threshold, else value; of integers too.
Tensor threshold(const Tensor& x, const ThresholdAttrs& attrs);
Tensor threshold_(const Tensor& x, const ThresholdAttrs& attrs);
/// leaky_relu with a slope drawn from [lower, upper) for each element in training, else with their mean. Draws one
/// double for each element that is not positive.
Tensor rrelu(const Tensor& x, const RreluAttrs& attrs = {});
Tensor rrelu_(const Tensor& x, const RreluAttrs& attrs = {});
/// 0 between -lambd and lambd, else x.
Tensor hardshrink(const Tensor& x, const ShrinkAttrs& attrs = {});
/// 0 between -lambd and lambd, else x brought nearer to 0 by lambd. Throws for a negative lambd.
Tensor softshrink(const Tensor& x, const ShrinkAttrs& attrs = {});
/// x where positive, else weight * x; the weight, of x's dtype, is one number or one a channel (dimension 1).
Tensor prelu(const Tensor& x, const Tensor& weight);

}  // namespace tapewire
