#pragma once

#include "core/nn/layer_support.h"
#include "core/ops/columns.h"

namespace tapewire {

/// Between images and columns of their patches.

/// The patches of [N, C, H, W] or [C, H, W] as columns: [N, C * kernel, blocks]. torch.nn.Unfold.
class Unfold final : public StatelessLayer<Unfold, Im2colAttrs> {
 public:
  static constexpr auto kName = "Unfold";
  static constexpr auto kDoc = "the patches of [N, C, H, W] as columns [N, C * kernel, blocks]";
  explicit Unfold(const Options& options);
  Tensor forward(const Tensor& x) override { return im2col(x, options()); }
};

/// The sum of patches where they overlap: [N, C * kernel, blocks] or without N becomes [N, C, *output_size].
/// torch.nn.Fold.
class Fold final : public StatelessLayer<Fold, Col2imAttrs> {
 public:
  static constexpr auto kName = "Fold";
  static constexpr auto kDoc = "the sum of overlapping patches, given as columns [N, C * kernel, blocks]";
  explicit Fold(const Options& options);
  Tensor forward(const Tensor& x) override { return col2im(x, options()); }
};

}  // namespace tapewire
