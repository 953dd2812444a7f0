#pragma once

#include <optional>
#include <string_view>

#include "core/base/fields.h"
#include "core/nn/linear.h"
#include "core/nn/module.h"

namespace tapewire {

struct MultiheadAttentionOptions {
  int64_t embed_dim = 0;
  int64_t num_heads = 0;
  double dropout = 0;
  bool bias = true;
  bool add_bias_kv = false;
  bool add_zero_attn = false;
  std::optional<int64_t> kdim;
  std::optional<int64_t> vdim;
  bool batch_first = false;
  static constexpr auto fields() {
    using O = MultiheadAttentionOptions;
    return std::tuple{
        required_field("embed_dim", &O::embed_dim, "features of query and output"),
        required_field("num_heads", &O::num_heads, "embed_dim is split into so many heads"),
        field("dropout", &O::dropout, "in training, probability that an attention weight is dropped"),
        field("bias", &O::bias, "add learned biases to the projections"),
        field("add_bias_kv", &O::add_bias_kv, "add a learned key and value to the sequence"),
        field("add_zero_attn", &O::add_zero_attn, "add a key and value of zeros to the sequence"),
        field("kdim", &O::kdim, "features of key; none: embed_dim"),
        field("vdim", &O::vdim, "features of value; none: embed_dim"),
        field("batch_first", &O::batch_first, "query, key, value and output are [N, L, *] instead of [L, N, *]")};
  }
};

/// The Linear of MultiheadAttention's output, under the name that PyTorch has for it.
class NonDynamicallyQuantizableLinear final : public Linear {
 public:
  static constexpr auto kName = "NonDynamicallyQuantizableLinear";
  static constexpr auto kDoc = "a Linear, as MultiheadAttention has it";
  using Linear::Linear;
  std::string_view type() const override { return kName; }
};

/// softmax(q k^T / sqrt(head size) + mask) v in num_heads heads, where q, k and v are projections of query, key and
/// value; the heads' results are projected again. Vaswani et al., 2017; torch.nn.MultiheadAttention.
///
/// Called with (query, key, value, key_padding_mask, need_weights = true, attn_mask, average_attn_weights = true,
/// is_causal = false): query [L, N, embed_dim], key [S, N, kdim], value [S, N, vdim]; N first under batch_first;
/// without N all three. key_padding_mask [N, S] (or [S]) and attn_mask [L, S] or [N * num_heads, L, S] may be left out;
/// bool ones are true where a key must not be seen, floating ones are added to the scores. is_causal is a hint that
/// attn_mask is causal: without key_padding_mask and need_weights a causal mask then stands in for it.
///
/// Gives the tuple (output, weights): output like query; weights [N, L, S], of each head [N, num_heads, L, S] unless
/// averaged, none without need_weights. A query that may see no key gives nan with need_weights and zeros without, as
/// in PyTorch 2.x.
///
/// Parameters: in_proj_weight [3 embed_dim, embed_dim], or with another kdim or vdim q_proj_weight, k_proj_weight and
/// v_proj_weight, by xavier_uniform_; in_proj_bias, zeros; bias_k and bias_v [1, 1, embed_dim], by xavier_normal_; and
/// the child out_proj. Its hooks do not run, as in PyTorch: it only holds the weights.
class MultiheadAttention final : public Module {
 public:
  using Options = MultiheadAttentionOptions;
  static constexpr auto kName = "MultiheadAttention";
  static constexpr auto kDoc = "attention in several heads: (output, weights) of query, key and value";
  /// Throws for embed_dim that num_heads does not divide, and other options out of range.
  explicit MultiheadAttention(const Options& options);

  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;

 private:
  struct Call;
  struct Heads;

  /// Own parameters, in the order of their registration.
  enum Slot : size_t { kInProjWeight, kQProjWeight, kKProjWeight, kVProjWeight, kInProjBias, kBiasK, kBiasV };
  const Tensor& slot(Slot i) const { return own_parameters()[i].tensor; }

  void check_shapes(const Call& call) const;
  Heads project(const Call& call) const;
  Tensor merged_mask(const Call& call, int64_t keys) const;
  Value result(const Call& call, const Tensor& out, Tensor weights) const;

  Options options_;
};

}  // namespace tapewire
