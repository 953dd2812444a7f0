#include "core/nn/transformer.h"

#include <limits>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/nn/arguments.h"
#include "core/nn/init.h"
#include "core/nn/layer_norm.h"
#include "core/nn/registry.h"
#include "core/ops/triangle.h"

namespace tapewire {
namespace {

// More than anyone stacks; bounds what a definition of a few bytes can ask for.
constexpr int64_t kMaxLayers = 1024;

template <class Layer>
std::shared_ptr<Module> make_layer(const TransformerLayerOptions& options) {
  return std::make_shared<Layer>(options);
}

std::shared_ptr<Module> make_norm(const TransformerLayerOptions& options) {
  return std::make_shared<LayerNorm>(
      LayerNormOptions{.normalized_shape = {options.d_model}, .eps = options.layer_norm_eps, .bias = options.bias});
}

}  // namespace

TransformerStack::TransformerStack(std::string_view name, MakeLayer* make, const TransformerLayerOptions& layer,
                                   int64_t num_layers, std::shared_ptr<Module> norm) {
  if (num_layers <= 0) fail(name, ": the number of layers must be greater than zero, got ", num_layers);
  if (num_layers > kMaxLayers) fail(name, ": the number of layers must be at most ", kMaxLayers, ", got ", num_layers);
  const auto layers = register_new<ModuleList>("layers", Modules{make(layer)});
  // The copies take the first one's weights: what they draw for themselves must not move the stream.
  Generator unused;
  const GeneratorScope scope(unused);
  for (int64_t i = 1; i < num_layers; ++i) {
    const std::shared_ptr<Module> copy = make(layer);
    copy->load_state_dict((*layers)[0]->state_dict());
    layers->append(copy);
  }
  if (norm) register_module("norm", std::move(norm));
}

Tensor TransformerStack::run(Args args) const {
  const ModuleList& all = layers();
  for (size_t i = 0; i < all.size(); ++i) args.positional[0] = (*all[i])(args);
  const std::shared_ptr<Module> norm = child("norm");
  return norm ? (*norm)(args.positional[0].tensor()) : args.positional[0].tensor();
}

TransformerEncoder::TransformerEncoder(const Options& options)
    : TransformerEncoder(options, options.num_layers, options.norm ? make_norm(options) : nullptr) {}
TransformerEncoder::TransformerEncoder(const TransformerLayerOptions& layer, int64_t num_layers,
                                       std::shared_ptr<Module> norm)
    : TransformerStack(kName, &make_layer<TransformerEncoderLayer>, layer, num_layers, std::move(norm)) {}

Value TransformerEncoder::forward(const Args& args) {
  const ModuleArguments a(kName, {"src", "mask", "src_key_padding_mask", "is_causal"}, args);
  Args layer_args{a.tensor("src")};
  layer_args.named = {{"src_mask", a.optional_tensor("mask")},
                      {"src_key_padding_mask", a.optional_tensor("src_key_padding_mask")},
                      {"is_causal", a.boolean("is_causal", false)}};
  return run(std::move(layer_args));
}

TransformerDecoder::TransformerDecoder(const Options& options)
    : TransformerDecoder(options, options.num_layers, options.norm ? make_norm(options) : nullptr) {}
TransformerDecoder::TransformerDecoder(const TransformerLayerOptions& layer, int64_t num_layers,
                                       std::shared_ptr<Module> norm)
    : TransformerStack(kName, &make_layer<TransformerDecoderLayer>, layer, num_layers, std::move(norm)) {}

Value TransformerDecoder::forward(const Args& args) {
  const ModuleArguments a(kName,
                          {"tgt", "memory", "tgt_mask", "memory_mask", "tgt_key_padding_mask",
                           "memory_key_padding_mask", "tgt_is_causal", "memory_is_causal"},
                          args);
  Args layer_args{a.tensor("tgt"), a.tensor("memory")};
  layer_args.named = {{"tgt_mask", a.optional_tensor("tgt_mask")},
                      {"memory_mask", a.optional_tensor("memory_mask")},
                      {"tgt_key_padding_mask", a.optional_tensor("tgt_key_padding_mask")},
                      {"memory_key_padding_mask", a.optional_tensor("memory_key_padding_mask")},
                      {"tgt_is_causal", a.boolean("tgt_is_causal", false)},
                      {"memory_is_causal", a.boolean("memory_is_causal", false)}};
  return run(std::move(layer_args));
}

Transformer::Transformer(const Options& options) : options_(options) {
  const auto encoder =
      register_new<TransformerEncoder>("encoder", options, options.num_encoder_layers, make_norm(options));
  const auto decoder =
      register_new<TransformerDecoder>("decoder", options, options.num_decoder_layers, make_norm(options));
  for (Module* half : {static_cast<Module*>(encoder.get()), static_cast<Module*>(decoder.get())}) {
    for (const NamedTensor& parameter : half->named_parameters()) {
      if (parameter.tensor.dim() > 1) init::xavier_uniform_(parameter.tensor);
    }
  }
}

Value Transformer::forward(const Args& args) {
  const ModuleArguments a(
      kName,
      {"src", "tgt", "src_mask", "tgt_mask", "memory_mask", "src_key_padding_mask", "tgt_key_padding_mask",
       "memory_key_padding_mask", "src_is_causal", "tgt_is_causal", "memory_is_causal"},
      args);
  const Tensor& src = a.tensor("src");
  const Tensor& tgt = a.tensor("tgt");
  check_inputs(src, tgt);
  Args encoded{src};
  encoded.named = {{"mask", a.value("src_mask")},
                   {"src_key_padding_mask", a.value("src_key_padding_mask")},
                   {"is_causal", a.value("src_is_causal")}};
  const Value memory = (*child("encoder"))(encoded);
  Args decoded{tgt, memory};
  for (const char* name : {"tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask",
                           "tgt_is_causal", "memory_is_causal"}) {
    decoded.named.emplace_back(name, a.value(name));
  }
  return (*child("decoder"))(decoded);
}

void Transformer::check_inputs(const Tensor& src, const Tensor& tgt) const {
  if (src.dim() != tgt.dim() || (src.dim() != 2 && src.dim() != 3)) {
    fail(kName, ": expects src and tgt of 2 dimensions or of 3, got ", to_string(src.sizes()), " and ",
         to_string(tgt.sizes()));
  }
  const int64_t batch_dim = options_.batch_first ? 0 : 1;
  if (src.dim() == 3 && src.size(batch_dim) != tgt.size(batch_dim)) {
    fail(kName, ": the batch number of src and tgt must be equal, got ", src.size(batch_dim), " and ",
         tgt.size(batch_dim));
  }
  if (src.size(-1) != options_.d_model || tgt.size(-1) != options_.d_model) {
    fail(kName, ": the feature number of src and tgt must be equal to d_model, got ", src.size(-1), " and ",
         tgt.size(-1), ", expected ", options_.d_model);
  }
}

Tensor Transformer::generate_square_subsequent_mask(int64_t size, DType dtype) {
  return triu(Tensor::full({size, size}, -std::numeric_limits<double>::infinity(), dtype), 1);
}

namespace {
const ModuleFamily kFamily{module_def<TransformerEncoder>(), module_def<TransformerDecoder>(),
                           module_def<Transformer>()};
}  // namespace

}  // namespace tapewire
