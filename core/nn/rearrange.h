#pragma once

#include "core/nn/layer_support.h"
#include "core/ops/columns.h"

namespace tapewire {

/// Layers that give the same elements in another shape or order.

struct UnflattenOptions {
  int64_t dim = 0;
  Shape unflattened_size;
  static constexpr auto fields() {
    return std::tuple{
        required_field("dim", &UnflattenOptions::dim, "dimension to split up"),
        required_field("unflattened_size", &UnflattenOptions::unflattened_size, "what it becomes; one may be -1")};
  }
};
struct ChannelShuffleOptions {
  int64_t groups = 1;
  static constexpr auto fields() {
    return std::tuple{required_field("groups", &ChannelShuffleOptions::groups, "the channels are split into so many")};
  }
};

/// Dimension dim becomes several, whose product it is. torch.nn.Unflatten.
class Unflatten final : public StatelessLayer<Unflatten, UnflattenOptions> {
 public:
  static constexpr auto kName = "Unflatten";
  static constexpr auto kDoc = "makes several dimensions of one";
  /// Throws for no sizes, one below -1, a second -1 and a product that overflows.
  explicit Unflatten(const Options& options);
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override { return attributes_repr(options()); }
};

/// [*, C * r^2, H, W] becomes [*, C, H * r, W * r]. Shi et al., 2016. torch.nn.PixelShuffle.
class PixelShuffle final : public StatelessLayer<PixelShuffle, PixelShuffleAttrs> {
 public:
  static constexpr auto kName = "PixelShuffle";
  static constexpr auto kDoc = "groups of channels of [*, C * r * r, H, W] become blocks of pixels";
  explicit PixelShuffle(const Options& options);
  Tensor forward(const Tensor& x) override { return pixel_shuffle(x, options().upscale_factor); }
};

/// The other way. torch.nn.PixelUnshuffle.
class PixelUnshuffle final : public StatelessLayer<PixelUnshuffle, PixelUnshuffleAttrs> {
 public:
  static constexpr auto kName = "PixelUnshuffle";
  static constexpr auto kDoc = "blocks of pixels of [*, C, H * r, W * r] become groups of channels";
  explicit PixelUnshuffle(const Options& options);
  Tensor forward(const Tensor& x) override { return pixel_unshuffle(x, options().downscale_factor); }
};

/// One channel of [N, C, *] of each group in turn: channel i of group g goes to place i * groups + g. Zhang et al.,
/// 2017. torch.nn.ChannelShuffle.
class ChannelShuffle final : public StatelessLayer<ChannelShuffle, ChannelShuffleOptions> {
 public:
  static constexpr auto kName = "ChannelShuffle";
  static constexpr auto kDoc = "deals out the groups of channels of [N, C, *] in turn";
  explicit ChannelShuffle(const Options& options);
  Tensor forward(const Tensor& x) override;
};

}  // namespace tapewire
