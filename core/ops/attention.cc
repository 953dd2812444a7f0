#include "core/ops/attention.h"

#include <cmath>
#include <limits>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/kernels/reduce.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/comparison.h"
#include "core/ops/dropout.h"
#include "core/ops/product.h"
#include "core/ops/reduction.h"
#include "core/ops/registry.h"
#include "core/ops/selection.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

constexpr double kBlocked = -std::numeric_limits<double>::infinity();

// 0 where a query sees a key, minus infinity where not: [length, keys].
Tensor causal_mask(int64_t length, int64_t keys, DType dtype) {
  const Tensor out = Tensor::empty({length, keys}, dtype);
  dispatch_floating("scaled_dot_product_attention", dtype, [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    for (int64_t i = 0; i < length; ++i) {
      count_work(keys);
      for (int64_t j = 0; j < keys; ++j) to[i * keys + j] = j <= i ? T{0} : static_cast<T>(kBlocked);
    }
  });
  return out;
}

// Softmax over the last dimension of scores + mask; rows in which the mask blocks all are zeros, without gradient.
Tensor masked_softmax(const Tensor& scores, const Tensor& mask) {
  const Tensor blocked = mask.dtype() == DType::kBool ? logical_not(mask) : eq(mask, kBlocked);
  const Shape last{blocked.dim() - 1};
  const Tensor dead = Tensor::empty(reduced_sizes(blocked.sizes(), last, /*keepdim=*/true), DType::kBool);
  kernels::all(blocked, last, dead);
  const Tensor masked = mask.dtype() == DType::kBool ? masked_fill(scores, blocked, kBlocked) : add(scores, mask);
  return masked_fill(softmax(masked_fill(masked, dead, 0.0), {.dim = -1}), dead, 0.0);
}

struct ScaledDotProductAttention {
  using Attrs = AttentionAttrs;
  static constexpr auto name = "scaled_dot_product_attention";
  static constexpr auto doc = "softmax(query key^T * scale + attn_mask) value";
  static constexpr std::array inputs{input("query"), input("key"), input("value"), optional_input("attn_mask")};
  static constexpr std::array<std::string_view, 6> order{"query",     "key",       "value",
                                                         "attn_mask", "dropout_p", "is_causal"};
  static constexpr bool random = true;
  static Tensor compose(const Attrs& a, Inputs in) {
    const Tensor& query = in[0];
    const Tensor& key = in[1];
    const Tensor& mask = in[3];
    check(a, in);
    const double scale = a.scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1))));
    const Tensor scores = matmul(mul(query, scale), transpose(key, -2, -1));
    Tensor weights;
    if (a.is_causal) {
      weights = softmax(add(scores, causal_mask(query.size(-2), key.size(-2), query.dtype())), {.dim = -1});
    } else {
      weights = mask.defined() ? masked_softmax(scores, mask) : softmax(scores, {.dim = -1});
    }
    return matmul(dropout(weights, {.p = a.dropout_p, .training = true}), in[2]);
  }

  static void check(const Attrs& a, Inputs in) {
    for (size_t i = 0; i < 3; ++i) {
      if (in[i].dim() < 2) {
        fail(name, ": Expected query, key, and value to all be at least 2 dimensional, but got ", inputs[i].name, " ",
             to_string(in[i].sizes()));
      }
      if (in[i].dtype() != in[0].dtype() || !is_floating(in[i].dtype())) {
        fail(name, ": Expected query, key, and value to have the same floating dtype, but got ", name_of(in[0].dtype()),
             " and ", name_of(in[i].dtype()));
      }
    }
    if (in[3].defined() && a.is_causal) fail(name, ": Explicit attn_mask should not be set when is_causal=True");
    if (in[3].defined() && in[3].dtype() != DType::kBool && in[3].dtype() != in[0].dtype()) {
      fail(name, ": Expected attn_mask dtype to be bool or to match query dtype, but got ", name_of(in[3].dtype()));
    }
    if (in[3].defined() && in[3].dim() < 1) fail(name, ": expects attn_mask [*, L, S], got []");
  }
};

const OpFamily kFamily{op_def<ScaledDotProductAttention>()};

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask, const AttentionAttrs& attrs) {
  return apply<ScaledDotProductAttention>(attrs, {query, key, value, attn_mask});
}

}  // namespace tapewire
