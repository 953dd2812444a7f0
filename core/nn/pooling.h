#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/nn/module.h"
#include "core/ops/pooling.h"

namespace tapewire {

struct MaxPoolOptions {
  Shape kernel_size;
  std::optional<Shape> stride;
  Shape padding{0};
  Shape dilation{1};
  bool ceil_mode = false;
  static constexpr auto fields() {
    return std::tuple{
        required_field("kernel_size", &MaxPoolOptions::kernel_size, "size of the window"),
        field("stride", &MaxPoolOptions::stride, "step of the window; none: kernel_size"),
        field("padding", &MaxPoolOptions::padding, "minus infinity added on both sides; at most half a window"),
        field("dilation", &MaxPoolOptions::dilation, "distance between the window's elements"),
        field("ceil_mode", &MaxPoolOptions::ceil_mode, "windows may hang over the end")};
  }
};

/// The largest of each window of [N, C, H, W] (or without N). torch.nn.MaxPool2d.
class MaxPool2d final : public TensorModule {
 public:
  using Options = MaxPoolOptions;
  static constexpr auto kName = "MaxPool2d";
  static constexpr auto kDoc = "the largest of each window of [N, C, H, W]";
  explicit MaxPool2d(const Options& options);
  explicit MaxPool2d(int64_t kernel_size) : MaxPool2d(Options{.kernel_size = {kernel_size}}) {}
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 private:
  MaxPoolAttrs attrs_;
};

}  // namespace tapewire
