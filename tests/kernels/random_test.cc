#include "core/kernels/random.h"

#include <algorithm>
#include <limits>

#include "tests/kernels/support.h"

// Expected values: PyTorch 1.13.1 after torch.manual_seed(7); the sixteen and more float normals were made under
// ATEN_CPU_CAPABILITY=default.
namespace tapewire::kernels {
namespace {

Generator seeded() { return Generator(7); }

TEST(Random, UniformIsPyTorchsStream) {
  Generator generator = seeded();
  const Tensor floats = Tensor::empty({5});
  uniform(floats, -2, 3, generator);
  EXPECT_EQ(floats.to_vector<double>(),
            (std::vector<double>{0x1.5966d6p-1, -0x1.01882cp+0, 0x1.4bca7cp+0, 0x1.48d1cep+0, -0x1.ac2162p-1}));
  generator = seeded();
  const Tensor doubles = Tensor::empty({4}, DType::kFloat64);
  uniform(doubles, -2, 3, generator);
  EXPECT_EQ(doubles.to_vector<double>(), (std::vector<double>{-0x1.34c93dd01882cp-1, -0x1.4358167b72e32p-1,
                                                              0x1.27bd4f9080508p+1, 0x1.488faa3930802p+0}));
}

TEST(Random, StridedTensorsFillInTheOrderOfMemory) {
  Generator generator = seeded();
  const Tensor turned = transposed(Tensor::empty({2, 3}), 0, 1);
  uniform(turned, 0, 1, generator);
  EXPECT_EQ(turned.to_vector<double>(), (std::vector<double>{0x1.11e15ep-1, 0x1.5053ecp-1, 0x1.972620p-3, 0x1.dcb218p-3,
                                                             0x1.518432p-1, 0x1.b3434cp-2}));
}

TEST(Random, FewNormalsAreBoxMullerInDouble) {
  Generator generator = seeded();
  const Tensor out = Tensor::empty({5});
  normal(out, 1, 2, generator);
  expect_close(out, {0x1.69ae8cp-1, 0x1.49408ep+1, 0x1.7262e6p+1, -0x1.3a8b4cp+0, 0x1.186bdp+2}, 0);
}

TEST(Random, SixteenAndMoreNormalsHaveTheVectorLayout) {
  Generator generator = seeded();
  const Tensor floats = Tensor::empty({20});
  normal(floats, 1, 2, generator);
  expect_close(floats, {-0x1.47d158p-1, 0x1.ca9024p+0,  0x1.661ed4p+1,  -0x1.c6dce4p+0, 0x1.659a76p+0,
                        0x1.4835eap+1,  0x1.8a02f6p+1,  -0x1.cbcc98p-2, -0x1.654848p-1, -0x1.6f1164p+0,
                        0x1.ad08aep-1,  0x1.dc8a4ap+1,  -0x1.8fbd04p+1, 0x1.2c91dcp+1,  -0x1.a58d94p+0,
                        -0x1.b83394p+0, -0x1.7780a0p-1, -0x1.062b90p-3, -0x1.8e7454p+1, 0x1.256ea8p-2},
               0);
  generator = seeded();
  const Tensor doubles = Tensor::empty({20}, DType::kFloat64);
  normal(doubles, 1, 2, generator);
  expect_close(doubles, {0x1.21edd1a74a72ep+0,  0x1.180f46f1ebf21p+0,  0x1.2b13b2a4e890fp+2,  0x1.de20f53cc4c77p+1,
                         0x1.f51bc44dd094ap+1,  0x1.3752d1084b726p+2,  -0x1.e23571939292ep+0, 0x1.3a4e808d6f3d0p+1,
                         -0x1.a05526e642c22p+0, 0x1.6041719348f9cp-2,  -0x1.b44f70f1920c2p+0, 0x1.25c615002d197p+2,
                         0x1.1efd4c3384e14p+2,  -0x1.8893ce15a99a0p-5, 0x1.ba9da6e7e2fc8p-2,  0x1.e7b7f9e8fd498p+0,
                         -0x1.2af04bea1dd97p+1, -0x1.1647bfa50381ep+1, 0x1.43dfab338259cp+2,  0x1.28def990d1245p+1},
               0);
}

TEST(Random, BernoulliDrawsOneNumberAValue) {
  const std::vector<double> by_double{1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 0};
  const std::vector<double> by_float{0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0};
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kBool, DType::kInt64}) {
    Generator generator = seeded();
    const Tensor out = Tensor::empty({16}, dtype);
    bernoulli(out, 0.3, generator);
    EXPECT_EQ(out.to_vector<double>(), by_double);
    generator = seeded();
    bernoulli(out, Tensor::full({16}, 0.3), generator);
    EXPECT_EQ(out.to_vector<double>(), by_float);
    generator = seeded();
    bernoulli(out, Tensor::full({16}, 0.3, DType::kFloat64), generator);
    EXPECT_EQ(out.to_vector<double>(), by_double);
  }
}

TEST(Random, IntegersAndPermutations) {
  Generator generator = seeded();
  const Tensor small = Tensor::empty({10}, DType::kInt64);
  randint(small, -5, 20, generator);
  EXPECT_EQ(small.to_vector<int64_t>(), (std::vector<int64_t>{10, 12, 16, 6, 3, 17, 7, -1, 8, 6}));
  generator = seeded();
  const Tensor large = Tensor::empty({3}, DType::kInt64);
  randint(large, 0, int64_t{1} << 40, generator);
  EXPECT_EQ(large.to_vector<int64_t>(), (std::vector<int64_t>{752595690692, 108744157686, 291964244179}));
  generator = seeded();
  const Tensor order = Tensor::empty({12}, DType::kInt64);
  randperm(order, generator);
  EXPECT_EQ(order.to_vector<int64_t>(), (std::vector<int64_t>{3, 4, 0, 5, 7, 9, 11, 6, 8, 1, 10, 2}));
}

// torch.randint(low, high, (4,), dtype) after torch.manual_seed(11).
TEST(Random, FloatsStayWithinBoundsTheyCannotHold) {
  struct Range {
    int64_t low;
    int64_t high;
    DType dtype;
    std::vector<double> values;
  };
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const Range& range : std::vector<Range>{
           {0, int64_t{1} << 33, DType::kFloat32, {5228483584, 7088336896, 7636735488, 6482733056}},
           {0, int64_t{1} << 33, DType::kFloat64, {4588342975, 2854952027, 5128687543, 8273322316}},
           {1073741825, 1099511640121, DType::kFloat32, {1088589332480, 776248360960, 24981626880, 931134701568}},
           {-34359738371, -1073741831, DType::kFloat32, {-29094612992, -19418247168, -16469558272, -3784872704}},
           {-16777221, 3, DType::kFloat32, {-14277084, -8614350, -240597, -13953274}},
           {0, kMost, DType::kFloat32, {0x1.71313cp+61, 0x1.3f1514p+58, 0x1.da55f6p+62, 0x1.ccaa28p+61}},
           {-kMost + 4,
            17,
            DType::kFloat64,
            {-5897983123618229248, -8864117261142908928, -678498381169847424, -5074073479047747584}}}) {
    Generator generator(11);
    const Tensor out = Tensor::empty({4}, range.dtype);
    randint(out, range.low, range.high, generator);
    EXPECT_EQ(out.to_vector<double>(), range.values) << range.low << " to " << range.high;
  }
}

TEST(Random, EmptyTensorsDrawNothing) {
  Generator generator = seeded();
  const Generator::State before = generator.state();
  uniform(Tensor::empty({0}), 0, 1, generator);
  normal(Tensor::empty({0}), 0, 1, generator);
  bernoulli(Tensor::empty({0}), 0.5, generator);
  EXPECT_EQ(generator.state(), before);
}

TEST(Random, RreluDrawsOneDoubleForEachThatIsNotPositive) {
  const Tensor x = Tensor::of<double>({-1, 2, 0, -4, NAN});
  const Tensor slopes = Tensor::empty({5}, DType::kFloat64);
  Generator generator(3);
  rrelu_slopes(slopes, x, 0.1, 0.5, generator);
  Generator again(3);
  const auto draw = [&] { return 0.1 + 0.4 * again.uniform_double(); };
  const double first = draw();
  const double second = draw();
  expect_close(slopes, {first, 1, second, draw(), 1}, 1e-15);
}

}  // namespace
}  // namespace tapewire::kernels
