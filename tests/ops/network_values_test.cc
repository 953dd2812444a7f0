// Values of convolutions, poolings, norms, attention and losses that PyTorch's operator database leaves out, as PyTorch
// 1.13 gives them for the calls in the comments.

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/arithmetic.h"
#include "core/ops/attention.h"
#include "core/ops/bound_call.h"
#include "core/ops/conv_transpose.h"
#include "core/ops/distance.h"
#include "core/ops/dropout.h"
#include "core/ops/embedding.h"
#include "core/ops/interpolate.h"
#include "core/ops/layer_norm.h"
#include "core/ops/margin_loss.h"
#include "core/ops/probability_loss.h"
#include "core/ops/reduction.h"
#include "core/ops/regression_loss.h"

namespace tapewire {
namespace {

// 1, 2, ... less `shift`, tenths.
Tensor tenths(std::initializer_list<int64_t> sizes, int64_t shift = 0) {
  Tensor out = Tensor::empty(sizes, DType::kFloat64);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data<double>()[i] = static_cast<double>(i + 1 - shift) / 10;
  return out;
}
Tensor vector(std::initializer_list<double> values) { return Tensor::of<double>(values); }

void expect(const Tensor& actual, const Shape& sizes, const std::vector<double>& values) {
  ASSERT_TRUE(actual.defined());
  EXPECT_EQ(actual.sizes(), sizes);
  const std::vector<double> got = actual.to_vector<double>();
  ASSERT_EQ(got.size(), values.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], values[i], 1e-13 * (1 + std::abs(values[i]))) << "element " << i;
  }
}

Tensor gradient_of(const Tensor& y, const Tensor& x, bool create_graph = false) {
  return grad({sum(y)}, {x}, {}, {.create_graph = create_graph})[0];
}

TEST(ConvTransposeValuesTest, OutputPaddingMayExceedTheStrideButNotTheDilation) {
  // F.conv_transpose1d(x, w, None, stride=2, padding=0, output_padding=1)
  expect(conv_transpose1d(tenths({1, 1, 3}), tenths({1, 1, 2}), {}, {.stride = {2}, .output_padding = {1}}), {1, 1, 7},
         {0.01, 0.02, 0.02, 0.04, 0.03, 0.06, 0});
  // F.conv_transpose1d(x, w, b, stride=1, padding=0, output_padding=2, dilation=3)
  expect(conv_transpose1d(tenths({1, 1, 3}), tenths({1, 1, 2}), tenths({1}), {.output_padding = {2}, .dilation = {3}}),
         {1, 1, 8}, {0.11, 0.12, 0.13, 0.12, 0.14, 0.16, 0.1, 0.1});
  EXPECT_THROW(conv_transpose1d(tenths({1, 1, 3}), tenths({1, 1, 2}), {}, {.output_padding = {1}}), Error);
}

TEST(ConvolutionValuesTest, SamePaddingPutsTheOddZeroAtTheEnd) {
  // F.conv1d(x, w, padding='same')
  const Value y = call_op("conv1d", {tenths({1, 1, 4}), tenths({1, 1, 4}), Value(), 1, "same"});
  expect(y.tensor(), {1, 1, 4}, {0.2, 0.3, 0.2, 0.11});
}

TEST(InterpolateValuesTest, NearestAndAntialias) {
  const Tensor x = tenths({1, 1, 3, 4});
  InterpolateAttrs by{.scale_factor = std::vector{1.5, 0.6}};
  expect(interpolate(x, by), {1, 1, 4, 2}, {0.1, 0.2, 0.1, 0.2, 0.5, 0.6, 0.9, 1.0});
  by.mode = "nearest-exact";
  expect(interpolate(x, by), {1, 1, 4, 2}, {0.1, 0.3, 0.5, 0.7, 0.5, 0.7, 0.9, 1.1});
  // F.interpolate(x, size=(2, 2), mode='bilinear', antialias=True), and bicubic to (2, 3)
  expect(interpolate(x, {.size = Shape{2, 2}, .mode = "bilinear", .antialias = true}), {1, 1, 2, 2},
         {0.32142857142857134, 0.47857142857142854, 0.8214285714285714, 0.9785714285714285});
  expect(interpolate(x, {.size = Shape{2, 3}, .mode = "bicubic", .antialias = true}), {1, 1, 2, 3},
         {0.24290966791673863, 0.37391653290529697, 0.5049233978938553, 0.7950766021061446, 0.926083467094703,
          1.0570903320832614});
}

TEST(EmbeddingValuesTest, PaddingGetsNoGradientAndFrequencyDivides) {
  const Tensor weight = set_requires_grad(tenths({4, 2}));
  const Tensor indices = Tensor::of<int64_t>({1, 3, 1, 0});
  const auto of = [&](const EmbeddingAttrs& attrs) {
    return gradient_of(mul(embedding(indices, weight, attrs), Tensor::of<double>({1, 2, 4, 8}, {4, 1})), weight);
  };
  expect(of({.padding_idx = 1}), {4, 2}, {8, 8, 0, 0, 0, 0, 2, 2});
  expect(of({.scale_grad_by_freq = true}), {4, 2}, {8, 8, 2.5, 2.5, 0, 0, 2, 2});
  expect(of({.padding_idx = -1, .scale_grad_by_freq = true}), {4, 2}, {8, 8, 2.5, 2.5, 0, 0, 0, 0});
}

TEST(EmbeddingValuesTest, MaxNormShortensTheRowsLookedUp) {
  const Tensor indices = Tensor::of<int64_t>({1, 3, 1, 0});
  const Tensor weight = tenths({4, 2});
  const uint32_t version = weight.version();
  embedding(indices, weight, {.max_norm = 0.5});
  expect(weight, {4, 2}, {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.32925227296081055, 0.3762883119552121});
  EXPECT_GT(weight.version(), version);
  const Tensor other = tenths({4, 2});
  embedding(indices, other, {.max_norm = 0.5, .norm_type = 1});
  expect(other, {4, 2},
         {0.1, 0.2, 0.21428568367347378, 0.28571424489796504, 0.5, 0.6, 0.2333333177777788, 0.2666666488888901});
}

TEST(EmbeddingValuesTest, RefusesWhatItCannotDo) {
  const Tensor weight = tenths({4, 2});
  EXPECT_THROW(embedding(Tensor::of<int64_t>({4}), weight), Error);
  EXPECT_THROW(embedding(Tensor::of<int64_t>({0}), weight, {.sparse = true}), Error);
  EXPECT_THROW(embedding(Tensor::of<int64_t>({0}), weight, {.padding_idx = 4}), Error);
}

TEST(DropoutValuesTest, EachFormDrawsPyTorchsNumbers) {
  const auto drawn = [](Tensor (*f)(const Tensor&), std::initializer_list<int64_t> sizes) {
    Generator generator(7);  // torch.manual_seed(7)
    const GeneratorScope scope(generator);
    return f(Tensor::full(sizes, 1.0, DType::kFloat64));
  };
  const double kept = 1.6666666666666667;
  expect(drawn([](const Tensor& x) { return dropout1d(x, {.p = 0.4}); }, {2, 3}), {2, 3},
         {kept, kept, kept, kept, kept, kept});
  expect(drawn([](const Tensor& x) { return dropout3d(x, {.p = 0.4}); }, {2, 3, 1, 1, 2}), {2, 3, 1, 1, 2},
         {kept, kept, kept, kept, 0, 0, 0, 0, 0, 0, 0, 0});
  const double high = 1.4703772724774749;
  const double low = -0.9106419695548393;
  expect(drawn([](const Tensor& x) { return alpha_dropout(x, {.p = 0.4, .training = true}); }, {2, 3}), {2, 3},
         {high, high, low, low, low, low});
  expect(drawn([](const Tensor& x) { return feature_alpha_dropout(x, {.p = 0.4, .training = true}); }, {2, 3, 2}),
         {2, 3, 2}, {high, high, high, high, low, low, low, low, low, low, low, low});
}

TEST(AttentionValuesTest, MasksAndDrops) {
  const Tensor query = tenths({1, 2, 2});
  const Tensor key = tenths({1, 3, 2}, 3);
  const Tensor value = tenths({1, 3, 1});
  const Tensor mask = Tensor::of<bool>({true, false, true, true, true, false}, {2, 3});
  expect(scaled_dot_product_attention(query, key, value, mask), {1, 2, 1}, {0.20424009693419343, 0.1524728545660317});
  Generator generator(7);  // torch.manual_seed(7)
  const GeneratorScope scope(generator);
  expect(scaled_dot_product_attention(query, key, value, {}, {.dropout_p = 0.4}), {1, 2, 1}, {0.16426037338438673, 0});
}

TEST(AttentionValuesTest, AQueryThatSeesNothingGetsZerosAndNoGradient) {
  const Tensor query = set_requires_grad(tenths({2, 2}));
  const Tensor mask = Tensor::of<double>({0, 0, -HUGE_VAL, -HUGE_VAL}, {2, 2});
  const Tensor y = scaled_dot_product_attention(query, tenths({2, 2}), tenths({2, 1}), mask);
  EXPECT_EQ(y.to_vector<double>()[1], 0);
  const std::vector<double> slopes = gradient_of(y, query).to_vector<double>();
  EXPECT_NE(slopes[0], 0);
  EXPECT_EQ(slopes[2], 0);
  EXPECT_EQ(slopes[3], 0);
}

TEST(LayerNormValuesTest, RmsNorm) {
  const Tensor x = Tensor::of<double>({3, 4, 1, 2}, {2, 2});
  // x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight
  expect(rms_norm(x, vector({1, 2}), {.normalized_shape = {2}}), {2, 2},
         {0.848528137423857, 2.262741699796952, 0.6324555320336759, 2.5298221281347035});
  expect(rms_norm(x, {}, {.normalized_shape = {2}, .eps = 0.5}), {2, 2},
         {0.8320502943378437, 1.1094003924504583, 0.5773502691896258, 1.1547005383792517});
}

TEST(InstanceNormValuesTest, RunningStatisticsMoveTowardsTheAverages) {
  const Tensor mean = Tensor::zeros({1}, DType::kFloat64);
  const Tensor var = Tensor::full({1}, 1.0, DType::kFloat64);
  const Tensor x = tenths({2, 1, 3});
  instance_norm(mul(x, x), mean, var, {}, {});
  expect(mean, {1}, {0.015166666666666667});
  expect(var, {1}, {0.9005833333333333});
}

TEST(LossValuesTest, HuberAtItsCorners) {
  const Tensor x = set_requires_grad(vector({-1.5, -1, 0, 0.5, 1}));
  const Tensor y = huber_loss(x, Tensor::zeros({5}, DType::kFloat64), {.reduction = Reduction::kNone});
  expect(y, {5}, {1, 0.5, 0, 0.125, 0.5});
  const Tensor slope = gradient_of(y, x, true);
  expect(slope, {5}, {-1, -1, 0, 0.5, 1});
  expect(gradient_of(slope, x), {5}, {0, 0, 1, 1, 0});
}

TEST(LossValuesTest, BinaryCrossEntropyIsFiniteAtItsEnds) {
  const Tensor x = set_requires_grad(vector({0, 1, 0.25}));
  const Tensor y = binary_cross_entropy(x, vector({1, 1, 0.5}), {}, {Reduction::kNone});
  expect(y, {3}, {100, 0, 0.8369882167858358});
  expect(gradient_of(y, x), {3}, {-1e12, 0, -1.3333333333333333});
  EXPECT_THROW(binary_cross_entropy(vector({1.1}), vector({1})), Error);
}

TEST(LossValuesTest, MultilabelMargin) {
  // F.multilabel_margin_loss(tensor([0.1, -0.2, 0.6, 0.4]), tensor([3, 0, -1, 1]))
  expect(multilabel_margin_loss(vector({0.1, -0.2, 0.6, 0.4}), Tensor::of<int64_t>({3, 0, -1, 1})), {}, {0.95});
}

TEST(LossValuesTest, GaussianNllRaisesSmallVariances) {
  const Tensor var = set_requires_grad(vector({0, 1e-9, 2}));
  const Tensor y = gaussian_nll_loss(vector({1, 1, 1}), vector({0, 0, 0}), var, {.reduction = Reduction::kNone});
  expect(y, {3}, {499993.092244721, 499993.092244721, 0.5965735902799727});
  expect(gradient_of(y, var), {3}, {-499999500000, -499999500000, 0.125});
  EXPECT_THROW(gaussian_nll_loss(vector({1}), vector({1}), vector({-1})), Error);
}

// PyTorch 2.x: x / max(|x|, eps) with the gradient of x / |x|. By hand.
TEST(DistanceValuesTest, CosineSimilarityOfShortVectors) {
  const Tensor x = set_requires_grad(vector({0.3, 0}));
  const Tensor y = cosine_similarity(x, vector({1, 0}), {.dim = 0, .eps = 0.5});
  expect(y, {}, {0.6});
  expect(gradient_of(y, x), {2}, {0.8, 0});  // 1 / eps - x / eps^2
}

TEST(LossValuesTest, SizeAverageIsNoArgument) {
  try {
    call_op("mse_loss", {vector({1}), vector({2}), Value()});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("takes 2 positional arguments at most"));
  }
}

}  // namespace
}  // namespace tapewire
