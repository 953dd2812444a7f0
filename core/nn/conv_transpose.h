#pragma once

#include <string>

#include "core/nn/convolution.h"
#include "core/ops/conv_transpose.h"

namespace tapewire {

struct ConvTransposeOptions {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  Shape kernel_size;
  Shape stride{1};
  Shape padding{0};
  Shape output_padding{0};
  int64_t groups = 1;
  bool bias = true;
  Shape dilation{1};
  std::string padding_mode = "zeros";
  static constexpr auto fields() {
    return std::tuple{
        required_field("in_channels", &ConvTransposeOptions::in_channels, "channels of the input"),
        required_field("out_channels", &ConvTransposeOptions::out_channels, "channels of the output"),
        required_field("kernel_size", &ConvTransposeOptions::kernel_size, "size of the window"),
        field("stride", &ConvTransposeOptions::stride, "distance between the windows that are added up"),
        field("padding", &ConvTransposeOptions::padding, "elements cut from both sides of the result"),
        field("output_padding", &ConvTransposeOptions::output_padding, "elements added to the end of the result"),
        field("groups", &ConvTransposeOptions::groups, "channels are split into so many independent groups"),
        field("bias", &ConvTransposeOptions::bias, "add a learned bias"),
        field("dilation", &ConvTransposeOptions::dilation, "distance between a window's elements"),
        field("padding_mode", &ConvTransposeOptions::padding_mode, "'zeros' is the only one")};
  }
};

/// What ConvTranspose1d, 2d and 3d share: forward(input, output_size=None) is the transpose of a convolution (its
/// gradient by its input): input [N, in_channels, *] (or without N) with weight [in_channels, out_channels / groups,
/// *kernel_size], plus bias [out_channels]. Both start as U(±1/sqrt(fan_in)), fan_in being that of the weight as it
/// stands. Each spatial size becomes (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding
/// + 1; output_size (with or without the dimensions in front) takes output_padding's place.
/// torch.nn.modules.conv._ConvTransposeNd.
class ConvTransposeNd : public Module {
 public:
  using Options = ConvTransposeOptions;

  Value forward(const Args& args) override;
  std::string extra_repr() const override;

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 protected:
  ConvTransposeNd(std::string_view name, size_t spatial, const Options& options);

 private:
  /// The output_padding that gives the size asked for.
  Shape padding_for(const Tensor& x, const Value& output_size) const;

  ConvOptions options_;  // what is common, spread over all spatial dimensions
  ConvTransposeAttrs attrs_;
  Member<Tensor> weight_;
  Member<Tensor> bias_;
};

class ConvTranspose1d final : public ConvTransposeNd {
 public:
  static constexpr auto kName = "ConvTranspose1d";
  static constexpr auto kDoc = "the transpose of a convolution of [N, C, L], plus bias";
  explicit ConvTranspose1d(const Options& options) : ConvTransposeNd(kName, 1, options) {}
  std::string_view type() const override { return kName; }
};

class ConvTranspose2d final : public ConvTransposeNd {
 public:
  static constexpr auto kName = "ConvTranspose2d";
  static constexpr auto kDoc = "the transpose of a convolution of [N, C, H, W], plus bias";
  explicit ConvTranspose2d(const Options& options) : ConvTransposeNd(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

class ConvTranspose3d final : public ConvTransposeNd {
 public:
  static constexpr auto kName = "ConvTranspose3d";
  static constexpr auto kDoc = "the transpose of a convolution of [N, C, D, H, W], plus bias";
  explicit ConvTranspose3d(const Options& options) : ConvTransposeNd(kName, 3, options) {}
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
