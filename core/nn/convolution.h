#pragma once

#include <optional>
#include <string>

#include "core/nn/layer_support.h"
#include "core/ops/convolution.h"
#include "core/ops/pad.h"

namespace tapewire {

struct ConvOptions {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  Shape kernel_size;
  Shape stride{1};
  ConvPadding padding;
  Shape dilation{1};
  int64_t groups = 1;
  bool bias = true;
  std::string padding_mode = "zeros";
  static constexpr auto fields() {
    return std::tuple{required_field("in_channels", &ConvOptions::in_channels, "channels of the input"),
                      required_field("out_channels", &ConvOptions::out_channels, "channels of the output"),
                      required_field("kernel_size", &ConvOptions::kernel_size, "size of the window"),
                      field("stride", &ConvOptions::stride, "step of the window"),
                      field("padding", &ConvOptions::padding, "elements added on both sides, or 'valid' or 'same'"),
                      field("dilation", &ConvOptions::dilation, "distance between the window's elements"),
                      field("groups", &ConvOptions::groups, "channels are split into so many independent groups"),
                      field("bias", &ConvOptions::bias, "add a learned bias"),
                      field("padding_mode", &ConvOptions::padding_mode,
                            "what is added on both sides: 'zeros', 'reflect', 'replicate' or 'circular'")};
  }
};

/// What Conv1d, Conv2d and Conv3d share: cross-correlation of x [N, in_channels, *] (or without N) with weight
/// [out_channels, in_channels / groups, *kernel_size], plus bias [out_channels]. Both start as U(±1/sqrt(fan_in)).
/// torch.nn.modules.conv._ConvNd.
class ConvNd : public TensorModule {
 public:
  using Options = ConvOptions;

  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 protected:
  ConvNd(std::string_view name, size_t spatial, const Options& options);

 private:
  size_t spatial_;
  Options options_;  // sizes spread over all spatial dimensions
  ConvNdAttrs attrs_;
  std::optional<PadAttrs> border_;  // what padding adds where it is not zeros
  Member<Tensor> weight_;
  Member<Tensor> bias_;
};

class Conv1d final : public ConvNd {
 public:
  static constexpr auto kName = "Conv1d";
  static constexpr auto kDoc = "cross-correlation of [N, C, L] with learned windows, plus bias";
  explicit Conv1d(const Options& options) : ConvNd(kName, 1, options) {}
  std::string_view type() const override { return kName; }
};

class Conv2d final : public ConvNd {
 public:
  static constexpr auto kName = "Conv2d";
  static constexpr auto kDoc = "cross-correlation of [N, C, H, W] with learned windows, plus bias";
  explicit Conv2d(const Options& options) : ConvNd(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

class Conv3d final : public ConvNd {
 public:
  static constexpr auto kName = "Conv3d";
  static constexpr auto kDoc = "cross-correlation of [N, C, D, H, W] with learned windows, plus bias";
  explicit Conv3d(const Options& options) : ConvNd(kName, 3, options) {}
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
