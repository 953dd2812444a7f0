#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct AttentionAttrs {
  double dropout_p = 0;
  bool is_causal = false;
  std::optional<double> scale;
  static constexpr auto fields() {
    return std::tuple{field("dropout_p", &AttentionAttrs::dropout_p, "probability that an attention weight is dropped"),
                      field("is_causal", &AttentionAttrs::is_causal, "a query sees no key behind its own place"),
                      field("scale", &AttentionAttrs::scale, "factor of the scores; none: 1 / sqrt(E)")};
  }
};

/// softmax(query key^T * scale + attn_mask) value: query [*, L, E], key [*, S, E], value [*, S, V] give [*, L, V]; the
/// leading dimensions broadcast. attn_mask, which may be undefined, broadcasts to [*, L, S]: bool, true where attention
/// is allowed, or numbers that are added. A query that may see nothing gets zeros. Vaswani et al., 2017.
Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask = {}, const AttentionAttrs& attrs = {});

}  // namespace tapewire
