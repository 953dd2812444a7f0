#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct EmbeddingAttrs {
  std::optional<int64_t> padding_idx;
  std::optional<double> max_norm;
  double norm_type = 2;
  bool scale_grad_by_freq = false;
  bool sparse = false;
  static constexpr auto fields() {
    return std::tuple{
        field("padding_idx", &EmbeddingAttrs::padding_idx, "row that gets no gradient; negative from the end"),
        field("max_norm", &EmbeddingAttrs::max_norm, "rows looked up are first scaled down, in place, to this norm"),
        field("norm_type", &EmbeddingAttrs::norm_type, "p of that norm"),
        field("scale_grad_by_freq", &EmbeddingAttrs::scale_grad_by_freq,
              "divide each row's gradient by how often it was looked up"),
        field("sparse", &EmbeddingAttrs::sparse, "sparse gradients: not supported")};
  }
};

/// Rows of weight [rows, width] for indices [*] (int64 or int32): [*, width]. With max_norm weight itself changes.
Tensor embedding(const Tensor& indices, const Tensor& weight, const EmbeddingAttrs& attrs = {});

}  // namespace tapewire
