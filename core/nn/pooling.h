#pragma once

#include "core/nn/layer_support.h"
#include "core/ops/pooling.h"

namespace tapewire {

/// Max pooling, and its partial inverse, over one to three spatial dimensions.

using MaxPoolOptions = MaxPoolAttrs;

/// What MaxPool1d, 2d and 3d share: the largest of each window of [N, C, *] or [C, *]. With return_indices a tuple of
/// that and of where each maximum stands, int64. torch.nn.modules.pooling._MaxPoolNd.
class MaxPoolNd : public Module {
 public:
  using Options = MaxPoolOptions;

  Value forward(const Args& args) override;
  std::string extra_repr() const override;

 protected:
  MaxPoolNd(std::string_view name, size_t spatial, const Options& options);

 private:
  size_t spatial_;
  Options options_;  // with a stride
};

class MaxPool1d final : public MaxPoolNd {
 public:
  static constexpr auto kName = "MaxPool1d";
  static constexpr auto kDoc = "the largest of each window of [N, C, L]";
  explicit MaxPool1d(const Options& options) : MaxPoolNd(kName, 1, options) {}
  explicit MaxPool1d(int64_t kernel_size) : MaxPool1d(Options{.kernel_size = {kernel_size}}) {}
  std::string_view type() const override { return kName; }
};

class MaxPool2d final : public MaxPoolNd {
 public:
  static constexpr auto kName = "MaxPool2d";
  static constexpr auto kDoc = "the largest of each window of [N, C, H, W]";
  explicit MaxPool2d(const Options& options) : MaxPoolNd(kName, 2, options) {}
  explicit MaxPool2d(int64_t kernel_size) : MaxPool2d(Options{.kernel_size = {kernel_size}}) {}
  std::string_view type() const override { return kName; }
};

class MaxPool3d final : public MaxPoolNd {
 public:
  static constexpr auto kName = "MaxPool3d";
  static constexpr auto kDoc = "the largest of each window of [N, C, D, H, W]";
  explicit MaxPool3d(const Options& options) : MaxPoolNd(kName, 3, options) {}
  explicit MaxPool3d(int64_t kernel_size) : MaxPool3d(Options{.kernel_size = {kernel_size}}) {}
  std::string_view type() const override { return kName; }
};

struct MaxUnpoolOptions {
  Shape kernel_size;
  std::optional<Shape> stride;
  Shape padding{0};
  static constexpr auto fields() {
    return std::tuple{required_field("kernel_size", &MaxUnpoolOptions::kernel_size, "window of the pooling"),
                      field("stride", &MaxUnpoolOptions::stride, "its step; none: kernel_size"),
                      field("padding", &MaxUnpoolOptions::padding, "what it added on both sides")};
  }
};

/// What MaxUnpool1d, 2d and 3d share: forward(input, indices, output_size=None) puts each element of input [N, C, *] or
/// [C, *] where its index says, zeros elsewhere; both are what MaxPool gives with return_indices. output_size (with or
/// without the dimensions in front) tells apart sizes that pool to the same one.
/// torch.nn.modules.pooling._MaxUnpoolNd.
class MaxUnpoolNd : public Module {
 public:
  using Options = MaxUnpoolOptions;

  Value forward(const Args& args) override;
  std::string extra_repr() const override;

 protected:
  MaxUnpoolNd(std::string_view name, size_t spatial, const Options& options);

 private:
  Shape output_sizes(const Tensor& x, const Value& asked) const;

  Options options_;  // spread over all spatial dimensions, with a stride
};

class MaxUnpool1d final : public MaxUnpoolNd {
 public:
  static constexpr auto kName = "MaxUnpool1d";
  static constexpr auto kDoc = "puts elements of [N, C, L] back where a max pooling found them, zeros elsewhere";
  explicit MaxUnpool1d(const Options& options) : MaxUnpoolNd(kName, 1, options) {}
  std::string_view type() const override { return kName; }
};

class MaxUnpool2d final : public MaxUnpoolNd {
 public:
  static constexpr auto kName = "MaxUnpool2d";
  static constexpr auto kDoc = "puts elements of [N, C, H, W] back where a max pooling found them, zeros elsewhere";
  explicit MaxUnpool2d(const Options& options) : MaxUnpoolNd(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

class MaxUnpool3d final : public MaxUnpoolNd {
 public:
  static constexpr auto kName = "MaxUnpool3d";
  static constexpr auto kDoc = "puts elements of [N, C, D, H, W] back where a max pooling found them, zeros elsewhere";
  explicit MaxUnpool3d(const Options& options) : MaxUnpoolNd(kName, 3, options) {}
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
