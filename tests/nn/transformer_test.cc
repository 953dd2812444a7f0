#include "core/nn/transformer.h"

#include <limits>

#include "core/base/random.h"
#include "core/nn/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"

namespace tapewire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const TransformerLayerOptions kSmall{.d_model = 4, .nhead = 2, .dim_feedforward = 6, .dropout = 0};

Args call(std::initializer_list<Value> positional, std::vector<std::pair<std::string, Value>> named) {
  Args args(positional);
  args.named = std::move(named);
  return args;
}

std::vector<std::string> keys_of(const Module& module) {
  std::vector<std::string> out;
  for (const NamedTensor& p : module.state_dict()) out.push_back(p.name);
  return out;
}

TransformerOptions small_transformer() {
  TransformerOptions options;
  static_cast<TransformerLayerOptions&>(options) = kSmall;
  options.num_encoder_layers = 2;
  options.num_decoder_layers = 1;
  return options;
}

TEST(TransformerTest, ALayerPrintsAsInPyTorch) {
  EXPECT_EQ(std::make_shared<TransformerEncoderLayer>(kSmall)->repr(),
            "TransformerEncoderLayer(\n"
            "  (self_attn): MultiheadAttention(\n"
            "    (out_proj): NonDynamicallyQuantizableLinear(in_features=4, out_features=4, bias=True)\n"
            "  )\n"
            "  (linear1): Linear(in_features=4, out_features=6, bias=True)\n"
            "  (dropout): Dropout(p=0.0, inplace=False)\n"
            "  (linear2): Linear(in_features=6, out_features=4, bias=True)\n"
            "  (norm1): LayerNorm((4,), eps=1e-05, elementwise_affine=True)\n"
            "  (norm2): LayerNorm((4,), eps=1e-05, elementwise_affine=True)\n"
            "  (dropout1): Dropout(p=0.0, inplace=False)\n"
            "  (dropout2): Dropout(p=0.0, inplace=False)\n"
            ")");
}

TEST(TransformerTest, AStackHasItsLayersByNumberThenTheNorm) {
  TransformerStackOptions options{kSmall, 2, true};
  options.bias = false;
  EXPECT_THAT(
      keys_of(TransformerEncoder(options)),
      ElementsAre("layers.0.self_attn.in_proj_weight", "layers.0.self_attn.out_proj.weight", "layers.0.linear1.weight",
                  "layers.0.linear2.weight", "layers.0.norm1.weight", "layers.0.norm2.weight",
                  "layers.1.self_attn.in_proj_weight", "layers.1.self_attn.out_proj.weight", "layers.1.linear1.weight",
                  "layers.1.linear2.weight", "layers.1.norm1.weight", "layers.1.norm2.weight", "norm.weight"));
}

TEST(TransformerTest, TheLayersOfAStackStartEqualButAreTheirOwn) {
  const TransformerDecoder decoder(kSmall, 2);
  const StateDict first = decoder.layers()[0]->state_dict();
  const StateDict second = decoder.layers()[1]->state_dict();
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].tensor.to_vector<float>(), second[i].tensor.to_vector<float>()) << first[i].name;
    EXPECT_NE(first[i].tensor.raw_data(), second[i].tensor.raw_data()) << first[i].name;
  }
}

TEST(TransformerTest, OnlyTheFirstLayerOfAStackDraws) {
  Generator one(3);
  Generator four(3);
  {
    const GeneratorScope scope(one);
    TransformerEncoder(kSmall, 1);
  }
  {
    const GeneratorScope scope(four);
    TransformerEncoder(kSmall, 4);
  }
  EXPECT_EQ(one.random(), four.random());
}

TEST(TransformerTest, ALayerWithoutBiasesIsOneWhoseBiasesAreZero) {
  TransformerLayerOptions options = kSmall;
  options.bias = false;
  TransformerEncoderLayer bare(options);
  TransformerEncoderLayer full(kSmall);
  StateDict state = full.state_dict();
  for (NamedTensor& p : state) p.tensor = pattern(p.tensor.sizes(), 5, 1, DType::kFloat32);
  bare.load_state_dict(state, /*strict=*/false);
  for (NamedTensor& p : state) {
    if (p.name.ends_with("bias")) p.tensor = Tensor::zeros(p.tensor.sizes());
  }
  full.load_state_dict(state);
  const Tensor x = pattern({3, 2, 4}, 7, 3, DType::kFloat32);
  EXPECT_EQ(bare(x).to_vector<float>(), full(x).to_vector<float>());
}

TEST(TransformerTest, TheMaskHidesWhatComesAfter) {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(Transformer::generate_square_subsequent_mask(3).to_vector<float>(),
              ElementsAre(0, kHidden, kHidden, 0, 0, kHidden, 0, 0, 0));
}

TEST(TransformerTest, ACausalEncoderDoesNotSeeTheFuture) {
  TransformerEncoder encoder(TransformerStackOptions{kSmall, 2, true});
  const Tensor mask = Transformer::generate_square_subsequent_mask(3);
  const auto first_row = [&](float last) {
    const Tensor x = pattern({3, 1, 4}, 7, 3, DType::kFloat32);
    x.mutable_data<float>()[11] = last;
    std::vector<float> out = static_cast<Module&>(encoder)(call({x}, {{"mask", mask}})).tensor().to_vector<float>();
    out.resize(8);
    return out;
  };
  EXPECT_EQ(first_row(0.5f), first_row(-3.0f));
}

TEST(TransformerTest, HooksInsideTheLayersFire) {
  const auto transformer = std::make_shared<Transformer>(small_transformer());
  std::vector<std::string> called;
  transformer->name_tree();
  for (const char* path : {"encoder.layers.1.self_attn", "decoder.layers.0.multihead_attn", "decoder.norm"}) {
    transformer->find(path)->register_forward_hook(
        [&](Module& module, const Args&, const Value&) -> std::optional<Value> {
          called.push_back(module.path());
          return std::nullopt;
        });
  }
  (*transformer)(Args{Tensor::zeros({3, 2, 4}), Tensor::zeros({2, 2, 4})});
  EXPECT_THAT(called, ElementsAre("encoder.layers.1.self_attn", "decoder.layers.0.multihead_attn", "decoder.norm"));
}

TEST(TransformerTest, RefusesWhatDoesNotFit) {
  const auto transformer = std::make_shared<Transformer>(small_transformer());
  const auto error = [&](const Tensor& src, const Tensor& tgt) {
    return error_of([&] { (*transformer)(Args{src, tgt}); });
  };
  EXPECT_EQ(error(Tensor::zeros({3, 2, 4}), Tensor::zeros({3, 1, 4})),
            "Transformer: the batch number of src and tgt must be equal, got 2 and 1");
  EXPECT_EQ(error(Tensor::zeros({3, 2, 4}), Tensor::zeros({3, 2, 5})),
            "Transformer: the feature number of src and tgt must be equal to d_model, got 4 and 5, expected 4");
  EXPECT_EQ(error(Tensor::zeros({4}), Tensor::zeros({4})),
            "Transformer: expects src and tgt of 2 dimensions or of 3, got [4] and [4]");
}

TEST(TransformerTest, RefusesOptionsOutOfRange) {
  const auto error = [](int64_t layers) { return error_of([&] { TransformerEncoder(kSmall, layers); }); };
  EXPECT_EQ(error(0), "TransformerEncoder: the number of layers must be greater than zero, got 0");
  EXPECT_EQ(error(INT64_MAX), "TransformerEncoder: the number of layers must be at most 1024, got 9223372036854775807");
  TransformerLayerOptions options = kSmall;
  options.nhead = 3;
  EXPECT_THAT(error_of([&] { TransformerDecoderLayer layer(options); }), HasSubstr("divisible by num_heads"));
  std::vector<std::string> faults;
  require_module("TransformerEncoderLayer", ModuleKind::kModule)
      .make({{"d_model", 4}, {"nhead", 2}, {"activation", "tanh"}}, faults);
  EXPECT_THAT(faults, ElementsAre("attribute 'activation': expected one of 'relu', 'gelu', got 'tanh'"));
}

}  // namespace
}  // namespace tapewire
