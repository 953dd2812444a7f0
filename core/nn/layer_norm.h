#pragma once

#include "core/base/fields.h"
#include "core/nn/module.h"
#include "core/tensor/attributes.h"

namespace tapewire {

struct LayerNormOptions {
  Shape normalized_shape;
  double eps = 1e-5;
  bool elementwise_affine = true;
  bool bias = true;
  static constexpr auto fields() {
    return std::tuple{required_field("normalized_shape", &LayerNormOptions::normalized_shape,
                                     "sizes of the last dimensions, which are normalised together"),
                      field("eps", &LayerNormOptions::eps, "added to the variance"),
                      field("elementwise_affine", &LayerNormOptions::elementwise_affine, "learn a weight and a bias"),
                      field("bias", &LayerNormOptions::bias, "false: a weight alone")};
  }
};

/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimensions, which are normalized_shape; weight starts as
/// ones, bias as zeros, both of that shape. Ba et al., 2016; torch.nn.LayerNorm.
class LayerNorm final : public TensorModule {
 public:
  using Options = LayerNormOptions;
  static constexpr auto kName = "LayerNorm";
  static constexpr auto kDoc = "normalises each sample over its last dimensions";
  explicit LayerNorm(const Options& options);
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 private:
  Options options_;
  Tensor weight_;
  Tensor bias_;
};

}  // namespace tapewire
