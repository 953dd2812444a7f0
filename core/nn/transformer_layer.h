#pragma once

#include <array>
#include <string_view>

#include "core/base/fields.h"
#include "core/nn/module.h"

namespace tapewire {

enum class TransformerActivation : uint8_t { kRelu, kGelu };
template <>
struct EnumNames<TransformerActivation> {
  static constexpr std::array<std::string_view, 2> names{"relu", "gelu"};
};

struct TransformerLayerOptions {
  int64_t d_model = 0;
  int64_t nhead = 0;
  int64_t dim_feedforward = 2048;
  double dropout = 0.1;
  TransformerActivation activation = TransformerActivation::kRelu;
  double layer_norm_eps = 1e-5;
  bool batch_first = false;
  bool norm_first = false;
  bool bias = true;

  /// All but d_model and nhead.
  static constexpr auto settings() {
    using O = TransformerLayerOptions;
    return std::tuple{field("dim_feedforward", &O::dim_feedforward, "features between the two linear layers"),
                      field("dropout", &O::dropout, "in training, probability of every dropout in it"),
                      field("activation", &O::activation, "'relu' or 'gelu', between the two linear layers"),
                      field("layer_norm_eps", &O::layer_norm_eps, "eps of the layer norms"),
                      field("batch_first", &O::batch_first, "input and output are [N, L, E] instead of [L, N, E]"),
                      field("norm_first", &O::norm_first, "normalise what goes into each block, not its sum"),
                      field("bias", &O::bias, "learn biases in attention, linear layers and norms")};
  }
  static constexpr auto fields() {
    using O = TransformerLayerOptions;
    return std::tuple_cat(std::tuple{required_field("d_model", &O::d_model, "features E of the input"),
                                     required_field("nhead", &O::nhead, "heads of the attention")},
                          settings());
  }
};

/// What the encoder's and the decoder's layer share: blocks of attention and of two linear layers with an activation
/// between, each with dropout, added to its input and normalised. Vaswani et al., 2017; norm_first: Xiong et al., 2020.
class TransformerLayer : public Module {
 public:
  using Options = TransformerLayerOptions;

 protected:
  /// `attends_memory`: with a second attention (multihead_attn, norm3, dropout3). Children stand in PyTorch's order.
  TransformerLayer(const Options& options, bool attends_memory);

  /// The masks of one attention, as MultiheadAttention takes them.
  struct Masks {
    Tensor attn_mask;
    Tensor key_padding_mask;
    bool is_causal = false;
  };
  /// x + block(norm(x)), or norm(x + block(x)).
  template <class Block>
  Tensor residual(const Tensor& x, Module& norm, Block&& block) const;
  /// dropout(attention(x, memory, memory)); self-attention when both are one.
  static Tensor attend(Module& attention, Module& dropout, const Tensor& x, const Tensor& memory, const Masks& masks);
  /// dropout(linear2(dropout_(activation(linear1(x))))).
  Tensor feed_forward(const Tensor& x, Module& dropout) const;

  /// A child, by its name.
  Module& part(std::string_view name) const { return *child(name); }

 private:
  Options options_;
};

/// Self-attention, then the linear layers. torch.nn.TransformerEncoderLayer.
///
/// Called with (src, src_mask, src_key_padding_mask, is_causal = false): src [L, N, E], [N, L, E] under batch_first, or
/// [L, E]; the masks as MultiheadAttention takes them. Gives a tensor like src. There is no fast path that leaves
/// padded places zero in evaluation.
class TransformerEncoderLayer final : public TransformerLayer {
 public:
  static constexpr auto kName = "TransformerEncoderLayer";
  static constexpr auto kDoc = "self-attention and a feed-forward network, each added to its input and normalised";
  explicit TransformerEncoderLayer(const Options& options) : TransformerLayer(options, false) {}
  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;
};

/// Self-attention over tgt, attention over memory, then the linear layers. torch.nn.TransformerDecoderLayer.
///
/// Called with (tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal =
/// false, memory_is_causal = false): tgt [T, N, E] and memory [S, N, E], N first under batch_first, or both without N.
/// Gives a tensor like tgt.
class TransformerDecoderLayer final : public TransformerLayer {
 public:
  static constexpr auto kName = "TransformerDecoderLayer";
  static constexpr auto kDoc =
      "self-attention, attention to an encoder's output and a feed-forward network, each added and normalised";
  explicit TransformerDecoderLayer(const Options& options) : TransformerLayer(options, true) {}
  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;
};

}  // namespace tapewire
