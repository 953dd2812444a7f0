#include "core/nn/transformer_layer.h"

#include "core/nn/arguments.h"
#include "core/nn/attention.h"
#include "core/nn/dropout.h"
#include "core/nn/layer_norm.h"
#include "core/nn/linear.h"
#include "core/nn/registry.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/smooth_activation.h"

namespace tapewire {

TransformerLayer::TransformerLayer(const Options& options, bool attends_memory) : options_(options) {
  const MultiheadAttentionOptions attention{.embed_dim = options.d_model,
                                            .num_heads = options.nhead,
                                            .dropout = options.dropout,
                                            .bias = options.bias,
                                            .batch_first = options.batch_first};
  const DropoutOptions drop{.p = options.dropout};
  const LayerNormOptions norm{
      .normalized_shape = {options.d_model}, .eps = options.layer_norm_eps, .bias = options.bias};
  register_new<MultiheadAttention>("self_attn", attention);
  if (attends_memory) register_new<MultiheadAttention>("multihead_attn", attention);
  register_new<Linear>("linear1", options.d_model, options.dim_feedforward, options.bias);
  register_new<Dropout>("dropout", drop);
  register_new<Linear>("linear2", options.dim_feedforward, options.d_model, options.bias);
  const size_t blocks = attends_memory ? 3 : 2;
  for (size_t i = 0; i < blocks; ++i) register_new<LayerNorm>(str_cat("norm", i + 1), norm);
  for (size_t i = 0; i < blocks; ++i) register_new<Dropout>(str_cat("dropout", i + 1), drop);
}

template <class Block>
Tensor TransformerLayer::residual(const Tensor& x, Module& norm, Block&& block) const {
  return options_.norm_first ? add(x, block(norm(x))) : norm(add(x, block(x)));
}

Tensor TransformerLayer::attend(Module& attention, Module& dropout, const Tensor& x, const Tensor& memory,
                                const Masks& masks) {
  Args args{x, memory, memory};
  args.named = {{"key_padding_mask", masks.key_padding_mask},
                {"need_weights", false},
                {"attn_mask", masks.attn_mask},
                {"is_causal", masks.is_causal}};
  return dropout(attention(args).tuple()[0].tensor());
}

Tensor TransformerLayer::feed_forward(const Tensor& x, Module& dropout) const {
  const Tensor inner = part("linear1")(x);
  const Tensor active = options_.activation == TransformerActivation::kRelu ? relu(inner) : gelu(inner);
  return dropout(part("linear2")(part("dropout")(active)));
}

Value TransformerEncoderLayer::forward(const Args& args) {
  const ModuleArguments a(kName, {"src", "src_mask", "src_key_padding_mask", "is_causal"}, args);
  const Masks masks{a.optional_tensor("src_mask"), a.optional_tensor("src_key_padding_mask"),
                    a.boolean("is_causal", false)};
  const Tensor attended = residual(a.tensor("src"), part("norm1"), [&](const Tensor& x) {
    return attend(part("self_attn"), part("dropout1"), x, x, masks);
  });
  return residual(attended, part("norm2"), [&](const Tensor& x) { return feed_forward(x, part("dropout2")); });
}

Value TransformerDecoderLayer::forward(const Args& args) {
  const ModuleArguments a(kName,
                          {"tgt", "memory", "tgt_mask", "memory_mask", "tgt_key_padding_mask",
                           "memory_key_padding_mask", "tgt_is_causal", "memory_is_causal"},
                          args);
  const Tensor& memory = a.tensor("memory");
  const Masks self{a.optional_tensor("tgt_mask"), a.optional_tensor("tgt_key_padding_mask"),
                   a.boolean("tgt_is_causal", false)};
  const Masks cross{a.optional_tensor("memory_mask"), a.optional_tensor("memory_key_padding_mask"),
                    a.boolean("memory_is_causal", false)};
  const Tensor attended = residual(a.tensor("tgt"), part("norm1"), [&](const Tensor& x) {
    return attend(part("self_attn"), part("dropout1"), x, x, self);
  });
  const Tensor crossed = residual(attended, part("norm2"), [&](const Tensor& x) {
    return attend(part("multihead_attn"), part("dropout2"), x, memory, cross);
  });
  return residual(crossed, part("norm3"), [&](const Tensor& x) { return feed_forward(x, part("dropout3")); });
}

namespace {
const ModuleFamily kFamily{module_def<TransformerEncoderLayer>(), module_def<TransformerDecoderLayer>()};
}  // namespace

}  // namespace tapewire
