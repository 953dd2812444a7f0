#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct InterpolateAttrs {
  std::optional<Shape> size;
  std::optional<std::vector<double>> scale_factor;
  std::string mode = "nearest";
  std::optional<bool> align_corners;
  std::optional<bool> recompute_scale_factor;
  bool antialias = false;
  static constexpr auto fields() {
    return std::tuple{
        field("size", &InterpolateAttrs::size, "spatial sizes of the result; this or scale_factor"),
        field("scale_factor", &InterpolateAttrs::scale_factor, "factors of the spatial sizes, rounded down"),
        field("mode", &InterpolateAttrs::mode,
              "'nearest', 'nearest-exact', 'linear', 'bilinear', 'bicubic', 'trilinear' or 'area'"),
        field("align_corners", &InterpolateAttrs::align_corners,
              "the corner elements stay where they are; for linear, bilinear, bicubic and trilinear"),
        field("recompute_scale_factor", &InterpolateAttrs::recompute_scale_factor,
              "take the factors from the sizes as they were rounded"),
        field("antialias", &InterpolateAttrs::antialias, "smooth when shrinking; for bilinear and bicubic")};
  }
};

/// What upsample_nearest and upsample_bilinear are called with.
struct UpsampleAttrs {
  std::optional<Shape> size;
  std::optional<std::vector<double>> scale_factor;
  static constexpr auto fields() {
    return std::tuple{field("size", &UpsampleAttrs::size, "spatial sizes of the result; this or scale_factor"),
                      field("scale_factor", &UpsampleAttrs::scale_factor, "factors of the spatial sizes")};
  }
};

/// x [N, C, *] with one to three spatial dimensions, resampled to other spatial sizes. linear is for one spatial
/// dimension, bilinear and bicubic for two, trilinear for three, the rest for any. float32 and float64; the nearest
/// modes also uint8.
Tensor interpolate(const Tensor& x, const InterpolateAttrs& attrs);

}  // namespace tapewire
