#include "core/kernels/stats.h"

#include <algorithm>

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

void check(const Tensor& x, double rtol) {
  const Stats got = stats(x, 16);
  std::vector<double> finite;
  Stats want;
  for (const double v : x.to_vector<double>()) {
    ++want.count;
    if (std::isnan(v)) {
      ++want.nans;
    } else if (std::isinf(v)) {
      ++want.infs;
    } else {
      want.zeros += v == 0;
      finite.push_back(v);
    }
  }
  EXPECT_EQ(got.count, want.count);
  EXPECT_EQ(got.nans, want.nans);
  EXPECT_EQ(got.infs, want.infs);
  EXPECT_EQ(got.zeros, want.zeros);
  if (finite.empty()) {
    EXPECT_TRUE(got.counts.empty());
    return;
  }
  const double n = static_cast<double>(finite.size());
  double sum = 0;
  double squares = 0;
  for (const double v : finite) {
    sum += v;
    squares += v * v;
  }
  double deviations = 0;
  for (const double v : finite) deviations += (v - sum / n) * (v - sum / n);
  const double spread = std::sqrt(squares / n);
  EXPECT_NEAR(got.mean, sum / n, rtol * spread + 1e-300);
  EXPECT_NEAR(got.std, std::sqrt(deviations / n), rtol * std::sqrt(deviations / n) + 1e-300);
  EXPECT_NEAR(got.l2_norm, std::sqrt(squares), rtol * std::sqrt(squares));
  EXPECT_EQ(got.min, *std::ranges::min_element(finite));
  EXPECT_EQ(got.max, *std::ranges::max_element(finite));
  ASSERT_EQ(got.edges.size(), 17U);
  ASSERT_EQ(got.counts.size(), 16U);
  EXPECT_TRUE(std::ranges::is_sorted(got.edges));
  int64_t total = 0;
  int64_t below = 0;
  for (size_t b = 0; b < 16; ++b) {
    total += got.counts[b];
    // So many lie below the edge; a float's rounding may put those at the edge on either side.
    const double edge = got.edges[b + 1];
    const double slack = (got.edges[16] - got.edges[0]) * 1e-5;
    below += got.counts[b];
    const int64_t least = std::ranges::count_if(finite, [&](double v) { return v < edge - slack; });
    const int64_t most = std::ranges::count_if(finite, [&](double v) { return v <= edge + slack; });
    EXPECT_GE(below, least);
    EXPECT_LE(below, most);
  }
  EXPECT_EQ(total, static_cast<int64_t>(finite.size()));
}

TEST(Stats, OfEveryDtypeAndLayout) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kUInt8, DType::kBool}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{5}, Shape{16}, Shape{33, 77}, Shape{200, 1000}}) {
      for (const Tensor& x : layouts(random_tensor(shape, dtype, -2, 5))) check(x, 1e-5);
    }
  }
}

TEST(Stats, CountWhatIsNotFiniteApart) {
  for (const DType dtype : kFloats) {
    std::vector<double> values = random_tensor(ints({3000}), dtype, -2, 2).to_vector<double>();
    values[3] = values[2999] = NAN;
    values[700] = INFINITY;
    values[1500] = values[1501] = -INFINITY;
    for (size_t i = 2000; i < 2100; ++i) values[i] = i % 2 == 0 ? 0.0 : -0.0;
    check(tensor_of(values, ints({3000}), dtype), 1e-5);
    check(Tensor::full({40}, NAN, dtype), 1e-5);
    check(Tensor::full({40}, -INFINITY, dtype), 1e-5);
  }
}

TEST(Stats, OfNumbersAtTheEndsOfTheRange) {
  const Tensor large =
      tensor_of({3e38, -3e38, 1e38, 0, 2e38, -1e38, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, ints({18}), DType::kFloat32);
  check(large, 1e-6);
  const Tensor tiny = tensor_of({1e-40, 2e-40, 3e-40, 0}, ints({4}), DType::kFloat32);
  check(tiny, 1e-6);
}

TEST(Stats, DeviationSurvivesAMeanFarFromZero) {
  check(random_tensor(ints({4000}), DType::kFloat32, 1000, 1001), 1e-5);
  check(random_tensor(ints({4000}), DType::kFloat64, 1e9, 1e9 + 1), 1e-5);
}

TEST(Stats, OfAConstantHaveAWidenedHistogram) {
  const Stats got = stats(Tensor::full({7}, 3.0), 4);
  EXPECT_EQ(got.std, 0);
  EXPECT_EQ(got.edges, (std::vector<double>{2.5, 2.75, 3, 3.25, 3.5}));
  EXPECT_EQ(got.counts, (std::vector<int64_t>{0, 0, 7, 0}));
}

TEST(Stats, WithoutBinsHaveNoHistogram) {
  const Stats got = stats(Tensor::full({7}, 3.0));
  EXPECT_TRUE(got.edges.empty());
  EXPECT_TRUE(got.counts.empty());
}

TEST(Stats, ThreadsDoNotMatter) {
  const Tensor x = random_tensor(ints({1000000}), DType::kFloat32);
  const auto run = [&](int threads) {
    ComputeThreadsScope scope(threads);
    return stats(x, 32);
  };
  const Stats one = run(1);
  const Stats two = run(2);
  EXPECT_EQ(one.mean, two.mean);
  EXPECT_EQ(one.std, two.std);
  EXPECT_EQ(one.l2_norm, two.l2_norm);
  EXPECT_EQ(one.counts, two.counts);
}

}  // namespace
}  // namespace tapewire::kernels
