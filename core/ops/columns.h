#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Images as columns of patches, and channels as pixels. Each number of a window is for both spatial dimensions, or a
/// pair for height and width.

struct Im2colAttrs {
  Shape kernel_size;
  Shape dilation{1};
  Shape padding{0};
  Shape stride{1};
  static constexpr auto fields() {
    return std::tuple{required_field("kernel_size", &Im2colAttrs::kernel_size, "the window"),
                      field("dilation", &Im2colAttrs::dilation, "from one of its elements to the next"),
                      field("padding", &Im2colAttrs::padding, "zeros around the image"),
                      field("stride", &Im2colAttrs::stride, "from one window to the next")};
  }
};
struct Col2imAttrs {
  Shape output_size;
  Shape kernel_size;
  Shape dilation{1};
  Shape padding{0};
  Shape stride{1};
  static constexpr auto fields() {
    return std::tuple{required_field("output_size", &Col2imAttrs::output_size, "height and width of the image"),
                      required_field("kernel_size", &Col2imAttrs::kernel_size, "the window"),
                      field("dilation", &Col2imAttrs::dilation, "from one of its elements to the next"),
                      field("padding", &Col2imAttrs::padding, "zeros around the image"),
                      field("stride", &Col2imAttrs::stride, "from one window to the next")};
  }
};
struct PixelShuffleAttrs {
  int64_t upscale_factor = 1;
  static constexpr auto fields() {
    return std::tuple{required_field("upscale_factor", &PixelShuffleAttrs::upscale_factor, "of height and width")};
  }
};
struct PixelUnshuffleAttrs {
  int64_t downscale_factor = 1;
  static constexpr auto fields() {
    return std::tuple{
        required_field("downscale_factor", &PixelUnshuffleAttrs::downscale_factor, "of height and width")};
  }
};

/// The patches of [N, C, H, W] or [C, H, W] as columns: [N, C * kernel, blocks] (torch.nn.functional.unfold).
Tensor im2col(const Tensor& x, const Im2colAttrs& attrs);
/// The sum of patches where they overlap: [N, C * kernel, blocks] or without N becomes [N, C, *output_size]
/// (torch.nn.functional.fold).
Tensor col2im(const Tensor& x, const Col2imAttrs& attrs);
/// [*, C * r^2, H, W] becomes [*, C, H * r, W * r]; pixel_unshuffle is the other way.
Tensor pixel_shuffle(const Tensor& x, int64_t upscale_factor);
Tensor pixel_unshuffle(const Tensor& x, int64_t downscale_factor);

}  // namespace tapewire
