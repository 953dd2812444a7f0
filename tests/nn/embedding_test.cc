#include "core/nn/embedding.h"

#include <cmath>
#include <limits>
#include <memory>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/random.h"
#include "core/nn/init.h"
#include "core/ops/reduction.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/nn/support.h"
#include "tests/nn/torch_init.h"

namespace tapewire {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

const Tensor kIndices = Tensor::of<int64_t>({1, 2, 1, 0}, {2, 2});

TEST(EmbeddingTest, StartsNormalWithAPaddingRowOfZeros) {
  manual_seed(7);
  EXPECT_EQ(Embedding(3, 4).weight().to_vector<float>(), torch_values::kEmbedding);
  EXPECT_EQ(Embedding(3, 5, {.padding_idx = -2}).weight().to_vector<float>(), torch_values::kEmbeddingPadded);
}

TEST(EmbeddingTest, LooksRowsUp) {
  Embedding embedding(3, 2);
  embedding.to(DType::kFloat64);
  const Tensor out = embedding(kIndices);
  EXPECT_THAT(out.sizes(), ElementsAre(2, 2, 2));
  const std::vector<double> w = embedding.weight().to_vector<double>();
  expect_near(out, {w[2], w[3], w[4], w[5], w[2], w[3], w[0], w[1]}, 0);
}

TEST(EmbeddingTest, ThePaddingRowGetsNoGradient) {
  Embedding embedding(3, 2, {.padding_idx = 1});
  backward(sum(embedding(kIndices)));
  expect_near(gradient(embedding.weight()), {1, 1, 0, 0, 1, 1}, 0);
}

TEST(EmbeddingTest, ScalesGradientsByFrequency) {
  Embedding embedding(3, 2, {.scale_grad_by_freq = true});
  backward(sum(embedding(kIndices)));
  expect_near(gradient(embedding.weight()), {1, 1, 1, 1, 1, 1}, 0);
}

TEST(EmbeddingTest, MaxNormShortensTheRowsLookedUpInPlace) {
  Embedding embedding(3, 2, {.max_norm = 1.0});
  init::constant_(embedding.weight(), 3);
  const uint32_t before = embedding.weight().version();
  const Tensor out = embedding(Tensor::of<int64_t>({0, 2}));
  const float shortened = static_cast<float>(3 / (std::sqrt(18.0) + 1e-7));
  const std::vector<float> w = embedding.weight().to_vector<float>();
  EXPECT_THAT(out.to_vector<float>(), Each(testing::FloatEq(shortened)));
  EXPECT_THAT(w, ElementsAre(out.to_vector<float>()[0], out.to_vector<float>()[1], 3, 3, w[0], w[1]));
  EXPECT_GT(embedding.weight().version(), before);
}

TEST(EmbeddingTest, MaxNormTakesTheNormOfItsType) {
  Embedding embedding(1, 2, {.max_norm = 1.0, .norm_type = 1});
  init::constant_(embedding.weight(), 3);
  EXPECT_THAT(embedding(Tensor::of<int64_t>({0})).to_vector<float>(), Each(testing::FloatNear(0.5F, 1e-6F)));
}

TEST(EmbeddingTest, PrintsAsInPyTorch) {
  EXPECT_EQ(Embedding(3, 2).repr(), "Embedding(3, 2)");
  EXPECT_EQ(Embedding(3, 2, {.padding_idx = -1, .max_norm = 1.5, .norm_type = 1, .scale_grad_by_freq = true}).repr(),
            "Embedding(3, 2, padding_idx=2, max_norm=1.5, norm_type=1.0, scale_grad_by_freq=True)");
}

TEST(EmbeddingTest, RefusesWhatCannotBe) {
  EXPECT_EQ(error_of([] { Embedding(3, 2, {.sparse = true}); }), "Embedding: sparse gradients are not supported");
  for (const int64_t padding : {int64_t{3}, int64_t{-4}, std::numeric_limits<int64_t>::min()}) {
    EXPECT_THAT(error_of([&] { Embedding(3, 2, {.padding_idx = padding}); }),
                HasSubstr("Embedding: Padding_idx must be within num_embeddings, got "));
  }
  EXPECT_EQ(error_of([] { Embedding(-1, 2); }),
            "Embedding: num_embeddings and embedding_dim must not be negative, got -1 and 2");
  EXPECT_THAT(error_of([] { Embedding(int64_t{1} << 40, int64_t{1} << 40); }), HasSubstr("overflows"));
  Embedding embedding(3, 2);
  EXPECT_NE(error_of([&] { embedding(Tensor::of<int64_t>({3})); }), "");
  EXPECT_THAT(error_of([&] { embedding(Tensor::of<float>({1})); }), HasSubstr("Long, Int"));
  Embedding bounded(3, 2, {.max_norm = std::nan("")});
  EXPECT_THAT(error_of([&] { bounded(Tensor::of<int64_t>({0})); }), HasSubstr("max_norm"));
}

}  // namespace
}  // namespace tapewire
