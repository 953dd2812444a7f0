#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/nn/layer_support.h"
#include "core/ops/interpolate.h"

namespace tapewire {

/// Layers that resample [N, C, *] to other spatial sizes. Each is given either `size` or `scale_factor`.

struct UpsampleOptions {
  std::optional<Shape> size;
  std::optional<std::vector<double>> scale_factor;
  std::string mode = "nearest";
  std::optional<bool> align_corners;
  std::optional<bool> recompute_scale_factor;
  static constexpr auto fields() {
    return std::tuple{
        field("size", &UpsampleOptions::size, "spatial sizes of the result; this or scale_factor"),
        field("scale_factor", &UpsampleOptions::scale_factor, "factors of the spatial sizes, rounded down"),
        field("mode", &UpsampleOptions::mode,
              "'nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear' or 'area'"),
        field("align_corners", &UpsampleOptions::align_corners,
              "the corner elements stay where they are; for linear, bilinear, bicubic and trilinear"),
        field("recompute_scale_factor", &UpsampleOptions::recompute_scale_factor,
              "take the factors from the sizes as they were rounded")};
  }
};

/// What Upsample and its short forms share.
class UpsampleLayer : public TensorModule {
 public:
  Tensor forward(const Tensor& x) override { return interpolate(x, attrs_); }
  /// "scale_factor=2.0, mode='nearest'" or "size=(2, 3), mode='nearest'".
  std::string extra_repr() const override;

 protected:
  UpsampleLayer(std::string_view name, const UpsampleOptions& options);

 private:
  InterpolateAttrs attrs_;
};

/// torch.nn.Upsample.
class Upsample final : public UpsampleLayer {
 public:
  using Options = UpsampleOptions;
  static constexpr auto kName = "Upsample";
  static constexpr auto kDoc = "resamples [N, C, *] to other spatial sizes";
  explicit Upsample(const Options& options) : UpsampleLayer(kName, options) {}
  std::string_view type() const override { return kName; }
};

/// torch.nn.UpsamplingNearest2d.
class UpsamplingNearest2d final : public UpsampleLayer {
 public:
  using Options = UpsampleAttrs;
  static constexpr auto kName = "UpsamplingNearest2d";
  static constexpr auto kDoc = "Upsample with mode 'nearest'";
  explicit UpsamplingNearest2d(const Options& options)
      : UpsampleLayer(kName, {.size = options.size, .scale_factor = options.scale_factor}) {}
  std::string_view type() const override { return kName; }
};

/// torch.nn.UpsamplingBilinear2d.
class UpsamplingBilinear2d final : public UpsampleLayer {
 public:
  using Options = UpsampleAttrs;
  static constexpr auto kName = "UpsamplingBilinear2d";
  static constexpr auto kDoc = "Upsample with mode 'bilinear' and align_corners";
  explicit UpsamplingBilinear2d(const Options& options)
      : UpsampleLayer(
            kName,
            {.size = options.size, .scale_factor = options.scale_factor, .mode = "bilinear", .align_corners = true}) {}
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
