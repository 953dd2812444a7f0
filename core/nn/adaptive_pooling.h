#pragma once

#include "core/nn/layer_support.h"
#include "core/ops/adaptive_pooling.h"

namespace tapewire {

/// Pooling of [N, C, *] or [C, *] to a given size.

/// What AdaptiveAvgPool1d, 2d and 3d share: means. torch.nn.modules.pooling._AdaptiveAvgPoolNd.
class AdaptiveAvgPoolNd : public TensorModule {
 public:
  using Options = AdaptivePoolAttrs;

  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override { return options_repr(options_); }

 protected:
  AdaptiveAvgPoolNd(std::string_view name, size_t spatial, const Options& options);

 private:
  size_t spatial_;
  Options options_;
};

class AdaptiveAvgPool1d final : public AdaptiveAvgPoolNd {
 public:
  static constexpr auto kName = "AdaptiveAvgPool1d";
  static constexpr auto kDoc = "the means of [N, C, L] over windows that give output_size";
  explicit AdaptiveAvgPool1d(const Options& options) : AdaptiveAvgPoolNd(kName, 1, options) {}
  std::string_view type() const override { return kName; }
};

class AdaptiveAvgPool2d final : public AdaptiveAvgPoolNd {
 public:
  static constexpr auto kName = "AdaptiveAvgPool2d";
  static constexpr auto kDoc = "the means of [N, C, H, W] over windows that give output_size";
  explicit AdaptiveAvgPool2d(const Options& options) : AdaptiveAvgPoolNd(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

class AdaptiveAvgPool3d final : public AdaptiveAvgPoolNd {
 public:
  static constexpr auto kName = "AdaptiveAvgPool3d";
  static constexpr auto kDoc = "the means of [N, C, D, H, W] over windows that give output_size";
  explicit AdaptiveAvgPool3d(const Options& options) : AdaptiveAvgPoolNd(kName, 3, options) {}
  std::string_view type() const override { return kName; }
};

/// What AdaptiveMaxPool1d, 2d and 3d share: maxima; with return_indices a tuple of them and of where each stands,
/// int64. torch.nn.modules.pooling._AdaptiveMaxPoolNd.
class AdaptiveMaxPoolNd : public Module {
 public:
  using Options = AdaptiveMaxPoolAttrs;

  Value forward(const Args& args) override;
  std::string extra_repr() const override { return options_repr(options_, {.count = 1}); }

 protected:
  AdaptiveMaxPoolNd(std::string_view name, size_t spatial, const Options& options);

 private:
  size_t spatial_;
  Options options_;
};

class AdaptiveMaxPool1d final : public AdaptiveMaxPoolNd {
 public:
  static constexpr auto kName = "AdaptiveMaxPool1d";
  static constexpr auto kDoc = "the largest of [N, C, L] over windows that give output_size";
  explicit AdaptiveMaxPool1d(const Options& options) : AdaptiveMaxPoolNd(kName, 1, options) {}
  std::string_view type() const override { return kName; }
};

class AdaptiveMaxPool2d final : public AdaptiveMaxPoolNd {
 public:
  static constexpr auto kName = "AdaptiveMaxPool2d";
  static constexpr auto kDoc = "the largest of [N, C, H, W] over windows that give output_size";
  explicit AdaptiveMaxPool2d(const Options& options) : AdaptiveMaxPoolNd(kName, 2, options) {}
  std::string_view type() const override { return kName; }
};

class AdaptiveMaxPool3d final : public AdaptiveMaxPoolNd {
 public:
  static constexpr auto kName = "AdaptiveMaxPool3d";
  static constexpr auto kDoc = "the largest of [N, C, D, H, W] over windows that give output_size";
  explicit AdaptiveMaxPool3d(const Options& options) : AdaptiveMaxPoolNd(kName, 3, options) {}
  std::string_view type() const override { return kName; }
};

}  // namespace tapewire
