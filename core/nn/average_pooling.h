#pragma once

#include "core/nn/layer_support.h"
#include "core/ops/average_pooling.h"

namespace tapewire {

/// Means, and other power means, of windows of [N, C, *] or [C, *].

/// The mean of each window of [N, C, L]. torch.nn.AvgPool1d.
class AvgPool1d final : public StatelessLayer<AvgPool1d, AvgPool1dAttrs> {
 public:
  static constexpr auto kName = "AvgPool1d";
  static constexpr auto kDoc = "the mean of each window of [N, C, L]";
  explicit AvgPool1d(const Options& options);
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;
};

/// What AvgPool2d and AvgPool3d share.
class AvgPoolNd : public TensorModule {
 public:
  using Options = AvgPoolAttrs;

  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 protected:
  AvgPoolNd(std::string_view name, size_t spatial, const Options& options);

 private:
  size_t spatial_;
  Options options_;  // with a stride
};

class AvgPool2d final : public AvgPoolNd {
 public:
  static constexpr auto kName = "AvgPool2d";
  static constexpr auto kDoc = "the mean of each window of [N, C, H, W]";
  explicit AvgPool2d(const Options& options) : AvgPoolNd(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

class AvgPool3d final : public AvgPoolNd {
 public:
  static constexpr auto kName = "AvgPool3d";
  static constexpr auto kDoc = "the mean of each window of [N, C, D, H, W]";
  explicit AvgPool3d(const Options& options) : AvgPoolNd(kName, 3, options) {}
  std::string_view type() const override { return kName; }
};

struct LPPoolOptions {
  Scalar norm_type = 2;
  Shape kernel_size;
  std::optional<Shape> stride;
  bool ceil_mode = false;
  static constexpr auto fields() {
    return std::tuple{required_field("norm_type", &LPPoolOptions::norm_type, "the exponent p; not 0"),
                      required_field("kernel_size", &LPPoolOptions::kernel_size, "size of the window"),
                      field("stride", &LPPoolOptions::stride, "step of the window; none: kernel_size"),
                      field("ceil_mode", &LPPoolOptions::ceil_mode, "windows may hang over the end")};
  }
};

/// What LPPool1d and LPPool2d share: sum(x^p)^(1/p) of each window: nan where an odd power makes the sum negative, as
/// in PyTorch. torch.nn.modules.pooling._LPPoolNd.
class LPPoolNd : public TensorModule {
 public:
  using Options = LPPoolOptions;

  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override;

 protected:
  LPPoolNd(std::string_view name, size_t spatial, const Options& options);

 private:
  Options options_;
  AvgPoolAttrs window_;  // spread over all spatial dimensions
};

class LPPool1d final : public LPPoolNd {
 public:
  static constexpr auto kName = "LPPool1d";
  static constexpr auto kDoc = "sum(x ** p) ** (1 / p) of each window of [N, C, L]";
  explicit LPPool1d(const Options& options) : LPPoolNd(kName, 1, options) {}
  std::string_view type() const override { return kName; }
};

class LPPool2d final : public LPPoolNd {
 public:
  static constexpr auto kName = "LPPool2d";
  static constexpr auto kDoc = "sum(x ** p) ** (1 / p) of each window of [N, C, H, W]";
  explicit LPPool2d(const Options& options) : LPPoolNd(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
