#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Dropout in its forms, named as in torch.nn.functional. They draw one double an element, or a channel, from the
/// current generator; when training is false or p is 0 the input passes as it is.

struct DropoutAttrs {
  double p = 0.5;
  bool training = true;
  static constexpr auto fields() {
    return std::tuple{field("p", &DropoutAttrs::p, "probability that an element, or a channel, is dropped"),
                      field("training", &DropoutAttrs::training, "false: input passes as it is")};
  }
};
/// Like DropoutAttrs; alpha_dropout and feature_alpha_dropout do nothing unless told to train.
struct AlphaDropoutAttrs {
  double p = 0.5;
  bool training = false;
  static constexpr auto fields() {
    return std::tuple{field("p", &AlphaDropoutAttrs::p, "probability that an element, or a channel, is dropped"),
                      field("training", &AlphaDropoutAttrs::training, "false: input passes as it is")};
  }
};

/// Zeroes elements at random and scales the rest by 1 / (1 - p).
Tensor dropout(const Tensor& x, const DropoutAttrs& attrs = {});
/// The same for whole channels: of [N, C, L] or [C, L]; of [N, C, *]; of [N, C, D, H, W] or [C, D, H, W].
Tensor dropout1d(const Tensor& x, const DropoutAttrs& attrs = {});
Tensor dropout2d(const Tensor& x, const DropoutAttrs& attrs = {});
Tensor dropout3d(const Tensor& x, const DropoutAttrs& attrs = {});
/// Sets elements (or channels of [N, C, *]) at random to selu's lower limit, and scales and moves all so that mean 0
/// and variance 1 stay. Klambauer et al., 2017.
Tensor alpha_dropout(const Tensor& x, const AlphaDropoutAttrs& attrs = {});
Tensor feature_alpha_dropout(const Tensor& x, const AlphaDropoutAttrs& attrs = {});

}  // namespace tapewire
