// Random ops under manual_seed draw what PyTorch's CPU generator draws, bit for bit; here from the seed 11. The numbers
// were printed by PyTorch 1.13 (python3-torch of Debian 12), built without MKL, for the expressions in the comments.

#include <cmath>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/ops/bound_call.h"
#include "core/ops/random.h"
#include "tests/ops/samples.h"

namespace tapewire {
namespace {

Tensor seeded(const Sample& sample) {
  Generator generator;
  const GeneratorScope scope(generator);
  manual_seed(11);
  return call_op(sample.op, sample.args).tensor();
}

void expect_seeded(const Sample& sample, DType dtype, const std::vector<double>& values) {
  const Tensor drawn = seeded(sample);
  EXPECT_EQ(drawn.dtype(), dtype) << sample.op;
  EXPECT_EQ(drawn.to_vector<double>(), values) << sample.op;
}

// Of few normals in float64: PyTorch 1.13 takes log(1 - u) where 2.x, and the engine, take log1p(-u).
void expect_seeded_nearly(const Sample& sample, const std::vector<double>& values) {
  const std::vector<double> drawn = seeded(sample).to_vector<double>();
  ASSERT_EQ(drawn.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(drawn[i], values[i], 4e-16 * std::abs(values[i])) << i;
}

TEST(RandomOpsTest, UniformNumbers) {
  // torch.rand(6)
  expect_seeded(Sample("rand", Args{Tuple{6}}), DType::kFloat32,
                {0x1.313cc8p-3, 0x1.f23afcp-2, 0x1.f8a8ap-1, 0x1.58e2d8p-3, 0x1.2afaa2p-1, 0x1.631f6ep-1});
  // torch.rand(4, dtype=torch.float64)
  expect_seeded(Sample("rand", Args{4}).named("dtype", DType::kFloat64), DType::kFloat64,
                {0x1.89e6445f23afcp-3, 0x1.c5450aa2b1c5bp-1, 0x1.57d5131b18fb7p-1, 0x1.5450ded20e14cp-1});
  // torch.rand_like(torch.zeros(2, 2))
  expect_seeded(Sample("rand_like", Args{Tensor::zeros({2, 2})}), DType::kFloat32,
                {0x1.313cc8p-3, 0x1.f23afcp-2, 0x1.f8a8ap-1, 0x1.58e2d8p-3});
}

TEST(RandomOpsTest, FewerThanSixteenNormals) {
  // torch.randn(5)
  expect_seeded(Sample("randn", Args{5}), DType::kFloat32,
                {0x1.79aa92p-1, 0x1.f2286ap+0, -0x1.662a52p-1, -0x1.4d635cp+0, -0x1.06ca4ep-1});
  // torch.randn(5, dtype=torch.float64)
  expect_seeded_nearly(
      Sample("randn", Args{5}).named("dtype", DType::kFloat64),
      {0x1.79aa9147c4958p-1, 0x1.f22869b64df1ep+0, -0x1.662a515e8feb8p-1, -0x1.4d635c7070255p+0, -0x1.06ca4da4b11p-1});
  // torch.randn_like(torch.zeros(3, dtype=torch.float64))
  expect_seeded_nearly(Sample("randn_like", Args{Tensor::zeros({3}, DType::kFloat64)}),
                       {0x1.79aa9147c4958p-1, 0x1.f22869b64df1ep+0, -0x1.662a515e8feb8p-1});
}

TEST(RandomOpsTest, SixteenNormalsAndMore) {
  // torch.randn(20) under ATEN_CPU_CAPABILITY=default
  expect_seeded(
      Sample("randn", Args{20}), DType::kFloat32,
      {-0x1.058742p-1, 0x1.073ccep+0, -0x1.69a092p-2, 0x1.f7c5bcp-4, -0x1.3cac18p-3, -0x1.18b036p+0, 0x1.5dd956p+0,
       0x1.60e996p-1,  0x1.30e724p-4, -0x1.796ff2p-3, 0x1.979214p-1, 0x1.eb20c2p-1,  0x1.023ed4p+1,  -0x1.2b2b4cp+0,
       -0x1.52fe62p+0, 0x1.207244p+0, 0x1.e9493ap+0,  0x1.310dc4p-2, -0x1.6882dcp-1, 0x1.fe426ap-2});
  // torch.randn(4, 4, dtype=torch.float64)
  expect_seeded(Sample("randn", Args{4, 4}).named("dtype", DType::kFloat64), DType::kFloat64,
                {0x1.1d0f9b3887e77p-2, -0x1.dfa5337361923p+0, 0x1.75f02040c541fp+0, -0x1.1019f39df4e9p-1,
                 -0x1.1ef7d92588fbp-2, -0x1.1b635b30bb2b7p-1, 0x1.040972c6b7a52p-1, 0x1.13c8566eddaf6p-1,
                 -0x1.2ec7ec2e3b73fp-1, 0x1.cfb8e57bab656p-1, -0x1.38702d9f389c4p-2, -0x1.61240df961186p+0,
                 -0x1.480dcc87f9033p+0, 0x1.616a2ec9ebbc6p-3, 0x1.6cfc06e658145p-2, 0x1.179b34a3f0985p-4});
}

TEST(RandomOpsTest, Integers) {
  // torch.randint(10, (8,))
  expect_seeded(Sample("randint", Args{10, Tuple{8}}), DType::kInt64, {1, 9, 0, 7, 3, 7, 1, 0});
  // torch.randint(-5, 7, (8,), dtype=torch.int32)
  expect_seeded(Sample("randint", Args{-5, 7, Tuple{8}}).named("dtype", DType::kInt32), DType::kInt32,
                {4, -2, -5, 6, 0, -2, 0, -5});
  // torch.randint(0, 1000, (6,), dtype=torch.float32)
  expect_seeded(Sample("randint", Args{0, 1000, Tuple{6}}).named("dtype", DType::kFloat32), DType::kFloat32,
                {441, 679, 520, 27, 433, 247});
  // torch.randint_like(torch.zeros(5), 3, 9)
  expect_seeded(Sample("randint_like", Args{Tensor::zeros({5}), 3, 9}), DType::kFloat32, {6, 6, 3, 8, 8});
}

TEST(RandomOpsTest, IntegersOfWideRanges) {
  // torch.randint(2**32 - 1, (4,))
  expect_seeded(Sample("randint", Args{(int64_t{1} << 32) - 1, Tuple{4}}), DType::kInt64,
                {774252441, 293375679, 83645520, 2854952027});
  // torch.randint(2**32, (4,))
  expect_seeded(Sample("randint", Args{int64_t{1} << 32, Tuple{4}}), DType::kInt64,
                {293375679, 2854952027, 833720247, 3978355020});
  // torch.randint(-2**40, 2**41, (5,))
  expect_seeded(Sample("randint", Args{-(int64_t{1} << 40), int64_t{1} << 41, Tuple{5}}), DType::kInt64,
                {-442088255809, 346452335707, 1448237698999, 59812929868, 1791453086279});
}

TEST(RandomOpsTest, Permutations) {
  // torch.randperm(10)
  expect_seeded(Sample("randperm", Args{10}), DType::kInt64, {1, 7, 2, 0, 9, 3, 5, 6, 4, 8});
  // torch.randperm(6, dtype=torch.float32)
  expect_seeded(Sample("randperm", Args{6}).named("dtype", DType::kFloat32), DType::kFloat32, {3, 5, 2, 1, 0, 4});
}

TEST(RandomOpsTest, Bernoulli) {
  // torch.bernoulli(torch.zeros(12), 0.3)
  expect_seeded(Sample("bernoulli", Args{Tensor::zeros({12}), 0.3}), DType::kFloat32,
                {1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0});
  // torch.bernoulli(torch.zeros(12, dtype=torch.int64), 0.3)
  expect_seeded(Sample("bernoulli", Args{Tensor::zeros({12}, DType::kInt64), 0.3}), DType::kInt64,
                {1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0});
  // torch.bernoulli(torch.linspace(0, 1, 12))
  expect_seeded(Sample("bernoulli", Args{linspace({.start = 0, .end = 1, .steps = 12, .dtype = DType::kFloat32})}),
                DType::kFloat32, {0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1});
  // torch.bernoulli(torch.linspace(0, 1, 12, dtype=torch.float64))
  expect_seeded(Sample("bernoulli", Args{linspace({.start = 0, .end = 1, .steps = 12, .dtype = DType::kFloat64})}),
                DType::kFloat64, {0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 1});
}

TEST(RandomOpsTest, Dropout) {
  // torch.dropout(torch.ones(10), 0.4, True)
  expect_seeded(Sample("dropout", Args{Tensor::full({10}, 1), 0.4}), DType::kFloat32,
                {0x1.aaaaaap+0, 0, 0, 0, 0x1.aaaaaap+0, 0x1.aaaaaap+0, 0x1.aaaaaap+0, 0x1.aaaaaap+0, 0, 0x1.aaaaaap+0});
  // torch.dropout(torch.ones(10, dtype=torch.float64), 0.4, True)
  expect_seeded(Sample("dropout", Args{Tensor::full({10}, 1, DType::kFloat64), 0.4}), DType::kFloat64,
                {0x1.aaaaaaaaaaaabp+0, 0, 0, 0, 0x1.aaaaaaaaaaaabp+0, 0x1.aaaaaaaaaaaabp+0, 0x1.aaaaaaaaaaaabp+0,
                 0x1.aaaaaaaaaaaabp+0, 0, 0x1.aaaaaaaaaaaabp+0});
}

// A normal that is left over from a pair serves the next call, whatever its dtype and whatever was drawn in between.
TEST(RandomOpsTest, OneStreamServesAllOps) {
  Generator generator;
  const GeneratorScope scope(generator);
  manual_seed(11);
  EXPECT_EQ(rand({.size = {1}}).to_vector<double>(), (std::vector<double>{0x1.313cc8p-3}));
  EXPECT_EQ(randn({.size = {3}}).to_vector<double>(),
            (std::vector<double>{0x1.70e7fap-1, -0x1.27d5b8p-1, -0x1.cd1e36p-3}));
  const Tensor doubles = randn({.size = {1}, .dtype = DType::kFloat64});
  EXPECT_EQ(doubles.to_vector<double>(), (std::vector<double>{-0x1.23f17b0611bep-4}));
  EXPECT_EQ(rand({.size = {1}, .dtype = DType::kFloat64}).item<double>(), 0x1.9848ef889e6a4p-2);
  EXPECT_EQ(randint({.high = 100, .size = {2}}).to_vector<double>(), (std::vector<double>{60, 65}));
  EXPECT_EQ(randperm({.n = 4}).to_vector<double>(), (std::vector<double>{0, 1, 3, 2}));
}

TEST(RandomOpsTest, RefusesWhatIsNoRangeOrProbability) {
  const auto error_of = [](const Sample& sample) {
    try {
      call_op(sample.op, sample.args);
    } catch (const Error& error) {
      return error.message();
    }
    return std::string("no error");
  };
  EXPECT_EQ(error_of(Sample("randint", Args{5, 5, Tuple{2}})),
            "randint: random_ expects 'from' to be less than 'to', but got from=5 >= to=5");
  EXPECT_EQ(error_of(Sample("randint", Args{300, Tuple{2}}).named("dtype", DType::kUInt8)),
            "randint: to - 1 is out of bounds for unsigned char");
  EXPECT_EQ(error_of(Sample("randint", Args{3})), "randint: missing argument 'size'");
  EXPECT_EQ(error_of(Sample("randperm", Args{-1})), "randperm: n must be non-negative, got -1");
  EXPECT_EQ(error_of(Sample("bernoulli", Args{Tensor::zeros({2}), 1.5})),
            "bernoulli: bernoulli_ expects p to be in [0, 1], but got p=1.5");
  EXPECT_EQ(error_of(Sample("bernoulli", Args{Tensor::full({2}, 1.5)})),
            "bernoulli: Expected p_in >= 0 && p_in <= 1 to be true, but got false.");
  EXPECT_EQ(error_of(Sample("rand", Args{-1})), "rand: Trying to create tensor with negative dimension -1: [-1]");
  EXPECT_NE(error_of(Sample("randn", Args{Tuple{int64_t{1} << 40, int64_t{1} << 40}})).find("overflows"),
            std::string::npos);
}

}  // namespace
}  // namespace tapewire
