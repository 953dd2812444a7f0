#include "core/nn/attention.h"

#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "core/base/error.h"
#include "core/nn/arguments.h"
#include "core/nn/init.h"
#include "core/nn/layer_support.h"
#include "core/nn/registry.h"
#include "core/ops/activation.h"
#include "core/ops/arithmetic.h"
#include "core/ops/attention.h"
#include "core/ops/dropout.h"
#include "core/ops/join.h"
#include "core/ops/pad.h"
#include "core/ops/product.h"
#include "core/ops/reduction.h"
#include "core/ops/selection.h"
#include "core/ops/split.h"
#include "core/ops/view_ops.h"

namespace tapewire {
namespace {

void check(const MultiheadAttentionOptions& o) {
  constexpr auto kName = MultiheadAttention::kName;
  if (o.embed_dim <= 0 || o.num_heads <= 0) {
    fail(kName, ": embed_dim and num_heads must be greater than 0, got embed_dim=", o.embed_dim,
         " and num_heads=", o.num_heads, " instead");
  }
  if (o.embed_dim % o.num_heads != 0) {
    fail(kName, ": embed_dim must be divisible by num_heads, got ", o.embed_dim, " and ", o.num_heads);
  }
  if (o.embed_dim > std::numeric_limits<int64_t>::max() / 3) fail(kName, ": embed_dim ", o.embed_dim, " is too large");
  if (o.kdim.value_or(0) < 0 || o.vdim.value_or(0) < 0) fail(kName, ": kdim and vdim must not be negative");
  if (!(o.dropout >= 0 && o.dropout <= 1)) {
    fail(kName, ": dropout probability has to be between 0 and 1, but got ", Value(o.dropout).repr());
  }
}

// A mask that is added to the scores: minus infinity where a bool one is true.
Tensor additive(const Tensor& mask, const char* name, DType dtype) {
  if (!mask.defined() || is_floating(mask.dtype())) return mask;
  if (mask.dtype() != DType::kBool) {
    fail(MultiheadAttention::kName, ": only bool and floating types of ", name, " are supported, got ",
         name_of(mask.dtype()));
  }
  return masked_fill(Tensor::zeros(mask.sizes(), dtype), mask, -std::numeric_limits<double>::infinity());
}

// A mask for `added` more keys, which every query may see.
Tensor padded(const Tensor& mask, int64_t added) {
  return mask.defined() && added > 0 ? pad(mask, {.pad = {0, added}}) : mask;
}

// [L, N, E] -> [N, heads, L, E / heads].
Tensor split_heads(const Tensor& x, int64_t heads) {
  return permute(view(x, {x.size(0), x.size(1), heads, x.size(2) / heads}), {1, 2, 0, 3});
}

// [N, heads, L, D] -> [L, N, heads * D], row-major.
Tensor join_heads(const Tensor& x) {
  return reshape(permute(x, {2, 0, 1, 3}), {x.size(2), x.size(0), x.size(1) * x.size(3)});
}

}  // namespace

// The arguments of one call; query, key and value with a batch and as [length, N, features].
struct MultiheadAttention::Call {
  explicit Call(const ModuleArguments& a)
      : query(a.tensor("query")),
        key(a.tensor("key")),
        value(a.tensor("value")),
        key_padding_mask(a.optional_tensor("key_padding_mask")),
        attn_mask(a.optional_tensor("attn_mask")),
        need_weights(a.boolean("need_weights", true)),
        average_attn_weights(a.boolean("average_attn_weights", true)),
        is_causal(a.boolean("is_causal", false)),
        batched(query.dim() == 3),
        one_source(query.is_same(key) && key.is_same(value)) {}

  void make_batched(bool batch_first) {
    for (Tensor* x : {&query, &key, &value}) {
      if (!batched) *x = unsqueeze(*x, 1);
      if (batched && batch_first) *x = transpose(*x, 0, 1);
    }
    if (!batched && key_padding_mask.defined()) key_padding_mask = unsqueeze(key_padding_mask, 0);
  }

  Tensor query;
  Tensor key;
  Tensor value;
  Tensor key_padding_mask;
  Tensor attn_mask;
  bool need_weights;
  bool average_attn_weights;
  bool is_causal;
  bool batched;
  bool one_source;  // self-attention: one projection gives all three
};

struct MultiheadAttention::Heads {
  Tensor q;  // [N, heads, L, D]
  Tensor k;  // [N, heads, S, D]
  Tensor v;
};

MultiheadAttention::MultiheadAttention(const Options& options) : options_(options) {
  check(options);
  const int64_t size = options.embed_dim;
  const int64_t kdim = options.kdim.value_or(size);
  const int64_t vdim = options.vdim.value_or(size);
  const bool packed = kdim == size && vdim == size;
  const auto empty_if = [](bool wanted, std::initializer_list<int64_t> sizes) {
    return wanted ? Tensor::empty(sizes) : Tensor();
  };
  // PyTorch draws out_proj's first weights before the others.
  const auto out_proj = std::make_shared<NonDynamicallyQuantizableLinear>(size, size, options.bias);
  if (options.bias) init::zeros_(out_proj->bias());
  const std::array projections{empty_if(packed, {3 * size, size}), empty_if(!packed, {size, size}),
                               empty_if(!packed, {size, kdim}), empty_if(!packed, {size, vdim})};
  for (const Tensor& weight : projections) {
    if (weight.defined()) init::xavier_uniform_(weight);
  }
  const std::array extras{empty_if(options.add_bias_kv, {1, 1, size}), empty_if(options.add_bias_kv, {1, 1, size})};
  for (const Tensor& extra : extras) {
    if (extra.defined()) init::xavier_normal_(extra);
  }
  register_parameter("in_proj_weight", projections[0]);
  register_parameter("q_proj_weight", projections[1]);
  register_parameter("k_proj_weight", projections[2]);
  register_parameter("v_proj_weight", projections[3]);
  register_parameter("in_proj_bias", options.bias ? Tensor::zeros({3 * size}) : Tensor());
  register_parameter("bias_k", extras[0]);
  register_parameter("bias_v", extras[1]);
  register_module("out_proj", out_proj);
}

Value MultiheadAttention::forward(const Args& args) {
  Call call(ModuleArguments(
      kName,
      {"query", "key", "value", "key_padding_mask", "need_weights", "attn_mask", "average_attn_weights", "is_causal"},
      args));
  check_shapes(call);
  call.make_batched(options_.batch_first);
  const Heads heads = project(call);
  const double drop = training() ? options_.dropout : 0;
  if (call.is_causal && !call.key_padding_mask.defined() && !call.need_weights) {
    return result(
        call, scaled_dot_product_attention(heads.q, heads.k, heads.v, {}, {.dropout_p = drop, .is_causal = true}), {});
  }
  const Tensor mask = merged_mask(call, heads.k.size(2));
  if (!call.need_weights) {
    return result(call, scaled_dot_product_attention(heads.q, heads.k, heads.v, mask, {.dropout_p = drop}), {});
  }
  const double scale = std::sqrt(1 / static_cast<double>(heads.q.size(3)));
  const Tensor scores = matmul(mul(heads.q, scale), transpose(heads.k, -2, -1));
  const Tensor seen = softmax(mask.defined() ? add(scores, mask) : scores, {.dim = -1});
  const Tensor weights = dropout(seen, {.p = drop, .training = true});
  return result(call, matmul(weights, heads.v), weights);
}

// In the words of torch.nn.functional._mha_shape_check and what follows it.
void MultiheadAttention::check_shapes(const Call& call) const {
  const Tensor& query = call.query;
  if (query.dim() != 2 && query.dim() != 3) {
    fail(kName, ": query should be unbatched 2D or batched 3D tensor but received ", query.dim(), "-D query tensor");
  }
  const std::string kind =
      call.batched ? "For batched (3-D) `query`, expected " : "For unbatched (2-D) `query`, expected ";
  const int64_t dims = query.dim();
  if (call.key.dim() != dims || call.value.dim() != dims) {
    fail(kName, ": ", kind, "`key` and `value` to be ", dims, "-D but found ", call.key.dim(), "-D and ",
         call.value.dim(), "-D tensors respectively");
  }
  if (call.key_padding_mask.defined() && call.key_padding_mask.dim() != dims - 1) {
    fail(kName, ": ", kind, "`key_padding_mask` to be `None` or ", dims - 1, "-D but found ",
         call.key_padding_mask.dim(), "-D tensor instead");
  }
  if (call.attn_mask.defined() && call.attn_mask.dim() != 2 && call.attn_mask.dim() != 3) {
    fail(kName, ": ", kind, "`attn_mask` to be `None`, 2-D or 3-D but found ", call.attn_mask.dim(),
         "-D tensor instead");
  }
  if (call.is_causal && !call.attn_mask.defined()) {
    fail(kName,
         ": Need attn_mask if specifying the is_causal hint. Use the Transformer module method "
         "`generate_square_subsequent_mask` to create this mask.");
  }
  if (query.size(-1) != options_.embed_dim) {
    fail(kName, ": was expecting embedding dimension of ", options_.embed_dim, ", but got ", query.size(-1));
  }
  const auto expect_features = [&](const char* name, const Tensor& x, int64_t size) {
    if (x.size(-1) != size) fail(kName, ": expects ", name, " with ", size, " features, got ", to_string(x.sizes()));
  };
  expect_features("key", call.key, options_.kdim.value_or(options_.embed_dim));
  expect_features("value", call.value, options_.vdim.value_or(options_.embed_dim));
  for (int64_t d = 0; d + 1 < dims; ++d) {
    if (call.key.size(d) != call.value.size(d)) {
      fail(kName, ": key shape ", to_string(call.key.sizes()), " does not match value shape ",
           to_string(call.value.sizes()));
    }
  }
  if (!call.batched) return;
  const int64_t batch_dim = options_.batch_first ? 0 : 1;
  if (query.size(batch_dim) != call.key.size(batch_dim)) {
    fail(kName, ": expects query and key of one batch size, got ", query.size(batch_dim), " and ",
         call.key.size(batch_dim));
  }
}

MultiheadAttention::Heads MultiheadAttention::project(const Call& call) const {
  std::array<Tensor, 3> projected;
  const Tensor& packed = slot(kInProjWeight);
  const Tensor& bias = slot(kInProjBias);
  if (call.one_source && packed.defined()) {
    const Tensors parts = chunk(linear(call.query, packed, bias), 3, -1);
    projected = {parts[0], parts[1], parts[2]};
  } else {
    const Tensors weights =
        packed.defined() ? chunk(packed, 3, 0) : Tensors{slot(kQProjWeight), slot(kKProjWeight), slot(kVProjWeight)};
    const Tensors biases = bias.defined() ? chunk(bias, 3, 0) : Tensors(3);
    projected = {linear(call.query, weights[0], biases[0]), linear(call.key, weights[1], biases[1]),
                 linear(call.value, weights[2], biases[2])};
  }
  const int64_t batch = call.query.size(1);
  if (options_.add_bias_kv) {
    const std::array<int64_t, 3> sizes{1, batch, options_.embed_dim};
    projected[1] = cat(std::array{projected[1], expand(slot(kBiasK), sizes)}, 0);
    projected[2] = cat(std::array{projected[2], expand(slot(kBiasV), sizes)}, 0);
  }
  Heads heads{split_heads(projected[0], options_.num_heads), split_heads(projected[1], options_.num_heads),
              split_heads(projected[2], options_.num_heads)};
  if (options_.add_zero_attn) {
    const Tensor zeros =
        Tensor::zeros({batch, options_.num_heads, 1, options_.embed_dim / options_.num_heads}, heads.k.dtype());
    heads.k = cat(std::array{heads.k, zeros}, 2);
    heads.v = cat(std::array{heads.v, zeros}, 2);
  }
  return heads;
}

// Both masks in one that broadcasts to [N, heads, L, keys], or undefined. `keys` counts those that were added.
Tensor MultiheadAttention::merged_mask(const Call& call, int64_t keys) const {
  const int64_t length = call.query.size(0);
  const int64_t batch = call.query.size(1);
  const int64_t given = call.key.size(0);
  const DType dtype = call.query.dtype();
  Tensor mask = additive(call.attn_mask, "attn_mask", dtype);
  if (mask.defined()) {
    const Shape expected = mask.dim() == 2 ? Shape{length, given} : Shape{batch * options_.num_heads, length, given};
    if (mask.sizes() != expected) {
      fail(kName, ": The shape of the ", mask.dim(), "D attn_mask is ", sizes_repr(mask.sizes()), ", but should be ",
           sizes_repr(expected), ".");
    }
    if (mask.dim() == 3) mask = reshape(mask, {batch, options_.num_heads, length, given});
    mask = padded(mask, keys - given);
  }
  Tensor padding = additive(call.key_padding_mask, "key_padding_mask", dtype);
  if (!padding.defined()) return mask;
  if (padding.sizes() != Shape{batch, given}) {
    fail(kName, ": expecting key_padding_mask shape of ", sizes_repr(Shape{batch, given}), ", but got ",
         sizes_repr(padding.sizes()));
  }
  padding = reshape(padded(padding, keys - given), {batch, 1, 1, keys});
  return mask.defined() ? add(mask, padding) : padding;
}

Value MultiheadAttention::result(const Call& call, const Tensor& out, Tensor weights) const {
  // The child only holds the weights.
  const std::vector<NamedTensor>& out_proj = children()[0].module->own_parameters();
  Tensor output = linear(join_heads(out), out_proj[0].tensor, out_proj[1].tensor);
  if (!call.batched) output = squeeze(output, 1);
  if (call.batched && options_.batch_first) output = transpose(output, 0, 1);
  if (!weights.defined()) return Tuple{output, Value()};
  if (call.average_attn_weights) weights = mean(weights, {.dim = Shape{1}});
  return Tuple{output, call.batched ? weights : squeeze(weights, 0)};
}

namespace {
const ModuleFamily kFamily{module_def<MultiheadAttention>(), module_def<NonDynamicallyQuantizableLinear>()};
}  // namespace

}  // namespace tapewire
