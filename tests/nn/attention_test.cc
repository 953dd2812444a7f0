#include "core/nn/attention.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<MultiheadAttention> attention(MultiheadAttentionOptions options = {.embed_dim = 4, .num_heads = 2}) {
  return std::make_shared<MultiheadAttention>(options);
}

Args call(std::initializer_list<Value> positional, std::vector<std::pair<std::string, Value>> named) {
  Args args(positional);
  args.named = std::move(named);
  return args;
}

TEST(MultiheadAttentionTest, NamesItsParametersAsPyTorch) {
  const auto names = [](const MultiheadAttentionOptions& options) {
    std::vector<std::string> out;
    for (const NamedTensor& p : attention(options)->state_dict()) out.push_back(p.name);
    return out;
  };
  EXPECT_THAT(names({.embed_dim = 4, .num_heads = 2, .add_bias_kv = true}),
              ElementsAre("in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj.weight", "out_proj.bias"));
  EXPECT_THAT(names({.embed_dim = 4, .num_heads = 2, .bias = false, .kdim = 3}),
              ElementsAre("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"));
}

TEST(MultiheadAttentionTest, PrintsAsInPyTorch) {
  EXPECT_EQ(attention()->repr(),
            "MultiheadAttention(\n"
            "  (out_proj): NonDynamicallyQuantizableLinear(in_features=4, out_features=4, bias=True)\n"
            ")");
}

TEST(MultiheadAttentionTest, WithoutWeightsGivesNoneInTheirPlace) {
  const Tensor x = pattern({3, 2, 4}, 7, 3, DType::kFloat32);
  const Value out = (*attention())(call({x, x, x}, {{"need_weights", false}}));
  ASSERT_EQ(out.tuple().size(), 2u);
  EXPECT_TRUE(out.tuple()[1].is_none());
}

TEST(MultiheadAttentionTest, WeightsOfAQuerySumToOne) {
  const Tensor x = pattern({3, 2, 4});
  const auto module = attention();
  module->to(DType::kFloat64);
  const std::vector<double> weights = (*module)(Args{x, x, x}).tuple()[1].tensor().to_vector<double>();
  ASSERT_EQ(weights.size(), 2u * 3 * 3);
  for (size_t i = 0; i < weights.size(); i += 3) EXPECT_NEAR(weights[i] + weights[i + 1] + weights[i + 2], 1, 1e-12);
}

// As in PyTorch 2.x: nan where weights are asked for, else zeros.
TEST(MultiheadAttentionTest, AQueryThatMaySeeNothing) {
  const Tensor x = pattern({3, 1, 4}, 7, 3, DType::kFloat32);
  const Tensor blocked = Tensor::full({1, 3}, true, DType::kBool);
  const auto module = attention({.embed_dim = 4, .num_heads = 2, .bias = false});
  const auto run = [&](bool weights) {
    return (*module)(call({x, x, x}, {{"key_padding_mask", blocked}, {"need_weights", weights}}))
        .tuple()[0]
        .tensor()
        .to_vector<float>();
  };
  EXPECT_THAT(run(false), Each(0.0f));
  EXPECT_THAT(run(true), Each(testing::IsNan()));
}

TEST(MultiheadAttentionTest, FloatingMasksAddUp) {
  const Tensor x = pattern({3, 2, 4}, 7, 3, DType::kFloat32);
  const auto module = attention();
  const auto run = [&](const Tensor& attn_mask, const Tensor& padding) {
    return (*module)(call({x, x, x}, {{"attn_mask", attn_mask}, {"key_padding_mask", padding}}))
        .tuple()[0]
        .tensor()
        .to_vector<float>();
  };
  const Tensor attn_mask = pattern({3, 3}, 5, 1, DType::kFloat32);
  const Tensor padding = pattern({2, 3}, 3, 2, DType::kFloat32);
  const Tensor joined = Tensor::empty({4, 3, 3});  // by sample and head, query, key
  for (int64_t i = 0; i < joined.numel(); ++i) {
    joined.mutable_data<float>()[i] = attn_mask.data<float>()[i % 9] + padding.data<float>()[i / 18 * 3 + i % 3];
  }
  EXPECT_EQ(run(attn_mask, padding), run(joined, {}));
}

TEST(MultiheadAttentionTest, RefusesOptionsOutOfRange) {
  const auto error = [](const MultiheadAttentionOptions& o) { return error_of([&] { attention(o); }); };
  EXPECT_EQ(error({.embed_dim = 0, .num_heads = 1}),
            "MultiheadAttention: embed_dim and num_heads must be greater than 0, got embed_dim=0 and num_heads=1 "
            "instead");
  EXPECT_EQ(error({.embed_dim = 4, .num_heads = 3}),
            "MultiheadAttention: embed_dim must be divisible by num_heads, got 4 and 3");
  EXPECT_EQ(error({.embed_dim = 4, .num_heads = 2, .dropout = std::nan("")}),
            "MultiheadAttention: dropout probability has to be between 0 and 1, but got nan");
  EXPECT_EQ(error({.embed_dim = 4, .num_heads = 2, .kdim = -1}),
            "MultiheadAttention: kdim and vdim must not be negative");
  EXPECT_THAT(error({.embed_dim = INT64_MAX, .num_heads = 1}), HasSubstr("is too large"));
}

TEST(MultiheadAttentionTest, RefusesShapesInPyTorchsWords) {
  const auto module = attention();
  const auto error = [&](const Tensor& query, const Tensor& key, const Tensor& value,
                         std::vector<std::pair<std::string, Value>> named = {}) {
    return error_of([&] { (*module)(call({query, key, value}, std::move(named))); });
  };
  const Tensor q = Tensor::zeros({3, 2, 4});
  const Tensor k = Tensor::zeros({5, 2, 4});
  EXPECT_EQ(error(Tensor::zeros({4}), k, k),
            "MultiheadAttention: query should be unbatched 2D or batched 3D tensor but received 1-D query tensor");
  EXPECT_EQ(error(q, Tensor::zeros({5, 4}), k),
            "MultiheadAttention: For batched (3-D) `query`, expected `key` and `value` to be 3-D but found 2-D and 3-D "
            "tensors respectively");
  EXPECT_EQ(error(q, k, k, {{"key_padding_mask", Tensor::zeros({5})}}),
            "MultiheadAttention: For batched (3-D) `query`, expected `key_padding_mask` to be `None` or 2-D but found "
            "1-D tensor instead");
  EXPECT_EQ(
      error(q, k, k, {{"attn_mask", Tensor::zeros({5})}}),
      "MultiheadAttention: For batched (3-D) `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found 1-D "
      "tensor instead");
  EXPECT_EQ(error(q, k, k, {{"attn_mask", Tensor::zeros({3, 3})}}),
            "MultiheadAttention: The shape of the 2D attn_mask is (3, 3), but should be (3, 5).");
  EXPECT_EQ(error(q, k, k, {{"attn_mask", Tensor::zeros({2, 3, 5})}}),
            "MultiheadAttention: The shape of the 3D attn_mask is (2, 3, 5), but should be (4, 3, 5).");
  EXPECT_EQ(error(q, k, k, {{"key_padding_mask", Tensor::zeros({5, 2})}}),
            "MultiheadAttention: expecting key_padding_mask shape of (2, 5), but got (5, 2)");
  EXPECT_EQ(error(q, k, k, {{"is_causal", true}}),
            "MultiheadAttention: Need attn_mask if specifying the is_causal hint. Use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask.");
  EXPECT_EQ(error(q, k, k, {{"attn_mask", Tensor::zeros({3, 5}, DType::kInt64)}}),
            "MultiheadAttention: only bool and floating types of attn_mask are supported, got int64");
  EXPECT_EQ(error(Tensor::zeros({3, 2, 5}), k, k),
            "MultiheadAttention: was expecting embedding dimension of 4, but got 5");
  EXPECT_EQ(error(q, Tensor::zeros({5, 2, 3}), k), "MultiheadAttention: expects key with 4 features, got [5, 2, 3]");
  EXPECT_EQ(error(q, k, Tensor::zeros({6, 2, 4})),
            "MultiheadAttention: key shape [5, 2, 4] does not match value shape [6, 2, 4]");
  const Tensor other = Tensor::zeros({5, 1, 4});
  EXPECT_EQ(error(q, other, other), "MultiheadAttention: expects query and key of one batch size, got 2 and 1");
}

}  // namespace
}  // namespace tapewire
