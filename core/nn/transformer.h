#pragma once

#include <memory>
#include <string_view>

#include "core/base/fields.h"
#include "core/nn/container.h"
#include "core/nn/module.h"
#include "core/nn/transformer_layer.h"

namespace tapewire {

/// A stack in a definition: what its layers are made of, how many there are, and whether a LayerNorm comes last.
/// PyTorch takes a layer to copy and a norm instead; C++ callers can pass the norm, too.
struct TransformerStackOptions : TransformerLayerOptions {
  int64_t num_layers = 0;
  bool norm = false;
  static constexpr auto fields() {
    using O = TransformerStackOptions;
    return std::tuple_cat(
        TransformerLayerOptions::fields(),
        std::tuple{
            required_field("num_layers", &O::num_layers, "layers on top of each other"),
            field("norm", &O::norm, "a LayerNorm of d_model features with layer_norm_eps after the last layer")});
  }
};

/// What TransformerEncoder and TransformerDecoder share: the children layers.0, layers.1, ... and norm, if there is
/// one. All layers start with the same weights, as PyTorch's copies of one layer do.
class TransformerStack : public Module {
 public:
  const ModuleList& layers() const { return static_cast<const ModuleList&>(*child("layers")); }

 protected:
  using MakeLayer = std::shared_ptr<Module>(const TransformerLayerOptions& options);

  /// `norm` may be nullptr. Throws for num_layers below 1 or above 1024.
  TransformerStack(std::string_view name, MakeLayer* make, const TransformerLayerOptions& layer, int64_t num_layers,
                   std::shared_ptr<Module> norm);

  /// Calls each layer with `args`, whose first argument is what the one before gave; then the norm.
  Tensor run(Args args) const;
};

/// TransformerEncoderLayers one after the other. torch.nn.TransformerEncoder.
///
/// Called with (src, mask, src_key_padding_mask, is_causal): what each layer gets.
class TransformerEncoder final : public TransformerStack {
 public:
  using Options = TransformerStackOptions;
  static constexpr auto kName = "TransformerEncoder";
  static constexpr auto kDoc = "a stack of TransformerEncoderLayers that start with equal weights";
  explicit TransformerEncoder(const Options& options);
  TransformerEncoder(const TransformerLayerOptions& layer, int64_t num_layers, std::shared_ptr<Module> norm = nullptr);
  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;
};

/// TransformerDecoderLayers one after the other. torch.nn.TransformerDecoder.
///
/// Called with (tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal,
/// memory_is_causal): what each layer gets.
class TransformerDecoder final : public TransformerStack {
 public:
  using Options = TransformerStackOptions;
  static constexpr auto kName = "TransformerDecoder";
  static constexpr auto kDoc = "a stack of TransformerDecoderLayers that start with equal weights";
  explicit TransformerDecoder(const Options& options);
  TransformerDecoder(const TransformerLayerOptions& layer, int64_t num_layers, std::shared_ptr<Module> norm = nullptr);
  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;
};

struct TransformerOptions : TransformerLayerOptions {
  TransformerOptions() {
    d_model = 512;
    nhead = 8;
  }
  int64_t num_encoder_layers = 6;
  int64_t num_decoder_layers = 6;
  static constexpr auto fields() {
    using O = TransformerOptions;
    return std::tuple_cat(std::tuple{field("d_model", &O::d_model, "features E of source and target"),
                                     field("nhead", &O::nhead, "heads of each attention"),
                                     field("num_encoder_layers", &O::num_encoder_layers, "layers of the encoder"),
                                     field("num_decoder_layers", &O::num_decoder_layers, "layers of the decoder")},
                          settings());
  }
};

/// An encoder of src, and a decoder of tgt that attends to what it gives; both end in a LayerNorm. All weights of two
/// dimensions start by xavier_uniform_. Vaswani et al., 2017; torch.nn.Transformer. Custom encoders and decoders are
/// not supported: put together a TransformerEncoder and a TransformerDecoder.
///
/// Called with (src, tgt, src_mask, tgt_mask, memory_mask, src_key_padding_mask, tgt_key_padding_mask,
/// memory_key_padding_mask, src_is_causal, tgt_is_causal, memory_is_causal = false): src [S, N, E] and tgt [T, N, E], N
/// first under batch_first, or both without N. Gives a tensor like tgt.
class Transformer final : public Module {
 public:
  using Options = TransformerOptions;
  static constexpr auto kName = "Transformer";
  static constexpr auto kDoc = "an encoder and a decoder of sequences made of attention";
  explicit Transformer(const Options& options);
  std::string_view type() const override { return kName; }
  Value forward(const Args& args) override;

  /// [size, size]: 0 on and below the diagonal, minus infinity above: a position sees none behind it.
  static Tensor generate_square_subsequent_mask(int64_t size, DType dtype = DType::kFloat32);

 private:
  void check_inputs(const Tensor& src, const Tensor& tgt) const;

  Options options_;
};

}  // namespace tapewire
