#pragma once

#include "core/base/fields.h"
#include "core/nn/layer_support.h"

namespace tapewire {

/// Dropout in its forms: in training they draw from the current generator, else x passes as it is.

struct DropoutOptions {
  double p = 0.5;
  bool inplace = false;
  static constexpr auto fields() {
    return std::tuple{field("p", &DropoutOptions::p, "probability that an element (a channel) becomes zero"),
                      field("inplace", &DropoutOptions::inplace, "change the input instead of making a new tensor")};
  }
};

/// What all of them share: the options, of which p has to be a probability.
template <class Self>
class DropoutLayer : public StatelessLayer<Self, DropoutOptions> {
 public:
  explicit DropoutLayer(const DropoutOptions& options = {});
};

/// Zeroes elements with probability p and scales the rest by 1 / (1 - p). torch.nn.Dropout.
class Dropout final : public DropoutLayer<Dropout> {
 public:
  static constexpr auto kName = "Dropout";
  static constexpr auto kDoc = "in training, zeroes elements at random and scales the rest";
  using DropoutLayer::DropoutLayer;
  Tensor forward(const Tensor& x) override;
};

/// The same for whole channels of [N, C, L] or [C, L]. torch.nn.Dropout1d.
class Dropout1d final : public DropoutLayer<Dropout1d> {
 public:
  static constexpr auto kName = "Dropout1d";
  static constexpr auto kDoc = "in training, zeroes channels of [N, C, L] or [C, L] at random and scales the rest";
  using DropoutLayer::DropoutLayer;
  Tensor forward(const Tensor& x) override;
};

/// The same for whole channels of [N, C, *]. torch.nn.Dropout2d.
class Dropout2d final : public DropoutLayer<Dropout2d> {
 public:
  static constexpr auto kName = "Dropout2d";
  static constexpr auto kDoc = "in training, zeroes channels of [N, C, *] at random and scales the rest";
  using DropoutLayer::DropoutLayer;
  Tensor forward(const Tensor& x) override;
};

/// The same for whole channels of [N, C, D, H, W] or [C, D, H, W]. torch.nn.Dropout3d.
class Dropout3d final : public DropoutLayer<Dropout3d> {
 public:
  static constexpr auto kName = "Dropout3d";
  static constexpr auto kDoc =
      "in training, zeroes channels of [N, C, D, H, W] or [C, D, H, W] at random and scales the rest";
  using DropoutLayer::DropoutLayer;
  Tensor forward(const Tensor& x) override;
};

/// Klambauer et al., 2017. As PyTorch's, it takes `inplace` and makes a new tensor all the same. torch.nn.AlphaDropout.
class AlphaDropout final : public DropoutLayer<AlphaDropout> {
 public:
  static constexpr auto kName = "AlphaDropout";
  static constexpr auto kDoc = "in training, dropout that keeps selu's mean 0 and variance 1";
  using DropoutLayer::DropoutLayer;
  Tensor forward(const Tensor& x) override;
};

/// The same for whole channels of [N, C, *]. torch.nn.FeatureAlphaDropout.
class FeatureAlphaDropout final : public DropoutLayer<FeatureAlphaDropout> {
 public:
  static constexpr auto kName = "FeatureAlphaDropout";
  static constexpr auto kDoc = "in training, AlphaDropout of whole channels of [N, C, *]";
  using DropoutLayer::DropoutLayer;
  Tensor forward(const Tensor& x) override;
};

}  // namespace tapewire
