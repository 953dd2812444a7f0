#include "core/kernels/matmul.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

std::vector<double> product(const Tensor& a, const Tensor& b, int64_t m, int64_t k, int64_t n) {
  const std::vector<double> x = a.to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  std::vector<double> out(static_cast<size_t>(m * n));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < n; ++j) {
        out[static_cast<size_t>(i * n + j)] += x[static_cast<size_t>(i * k + p)] * y[static_cast<size_t>(p * n + j)];
      }
    }
  }
  return out;
}

double tol(DType dtype, int64_t k) {
  return dtype == DType::kFloat32   ? 2e-6 * static_cast<double>(k + 4)
         : dtype == DType::kFloat64 ? 1e-14 * static_cast<double>(k + 4)
                                    : 0;
}

struct Size {
  int64_t m, k, n;
};
const std::vector<Size> kSizes{{1, 1, 1},    {1, 10, 5},     {1, 5, 1},    {5, 1, 7},    {3, 4, 5},
                               {0, 3, 2},    {2, 0, 3},      {64, 50, 10}, {1, 300, 40}, {40, 300, 1},
                               {37, 41, 43}, {130, 70, 220}, {7, 513, 9}};

TEST(Gemm, LongProductsWithAVectorAreCut) {
  for (const Size& s : {Size{1, 2900, 2901}, Size{2901, 2900, 1}, Size{1, 1'100'000, 8}}) {
    const Tensor a = random_tensor(Shape{s.m, s.k}, DType::kFloat64, -2, 3, 1);
    const Tensor b = random_tensor(Shape{s.k, s.n}, DType::kFloat64, -2, 3, 2);
    const Tensor out = Tensor::full({s.m, s.n}, 1.0, DType::kFloat64);
    gemm(a, b, out, 1);
    std::vector<double> want = product(a, b, s.m, s.k, s.n);
    for (double& v : want) v += 1;
    expect_close(out, want, 1e-8, 1e-12);
  }
}

TEST(Gemm, MultipliesEveryLayout) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kInt32}) {
    for (const Size& s : kSizes) {
      const Tensor a = random_tensor(Shape{s.m, s.k}, dtype, -2, 3, 1);
      const Tensor b = random_tensor(Shape{s.k, s.n}, dtype, -2, 3, 2);
      const std::vector<double> want = product(a, b, s.m, s.k, s.n);
      for (const Tensor& x : layouts(a)) {
        for (const Tensor& y : layouts(b)) {
          const Tensor out = Tensor::full(Shape{s.m, s.n}, 1, dtype);
          gemm(x, y, out);
          expect_close(out, want, tol(dtype, s.k), tol(dtype, s.k), to_string(Shape{s.m, s.k, s.n}));
          std::vector<double> twice = want;
          gemm(x, y, out, 1);
          for (double& v : twice) v *= 2;
          expect_close(out, twice, tol(dtype, s.k), 2 * tol(dtype, s.k));
          gemm(x, y, out, 2);
          for (size_t i = 0; i < want.size(); ++i) twice[i] = 2 * twice[i] + want[i];
          expect_close(out, twice, tol(dtype, s.k), 6 * tol(dtype, s.k));
          if (::testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

TEST(Gemm, WithoutBetaIgnoresWhatTheOutputHeld) {
  for (const int64_t n : {3, 200}) {
    const Tensor a = random_tensor(Shape{n, n}, DType::kFloat32);
    const Tensor out = Tensor::full(Shape{n, n}, NAN, DType::kFloat32);
    gemm(a, a, out);
    for (const double v : out.to_vector<double>()) ASSERT_FALSE(std::isnan(v));
  }
}

TEST(Gemm, TakesExpandedOperands) {
  const Tensor a = expanded(random_tensor(ints({1, 30}), DType::kFloat64), ints({20, 30}));
  const Tensor b = expanded(random_tensor(ints({30, 1}), DType::kFloat64), ints({30, 25}));
  const Tensor out = Tensor::empty({20, 25}, DType::kFloat64);
  gemm(a, b, out);
  expect_close(out, product(a, b, 20, 30, 25), 1e-13, 1e-13);
}

TEST(Bmm, MultipliesBatchesOfEveryLayout) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64}) {
    for (const Size& s : {Size{3, 4, 5}, Size{1, 10, 6}, Size{33, 20, 17}, Size{150, 130, 140}}) {
      const Tensor a = random_tensor(Shape{3, s.m, s.k}, dtype, -2, 3, 1);
      const Tensor b = random_tensor(Shape{3, s.k, s.n}, dtype, -2, 3, 2);
      std::vector<double> want;
      for (int64_t i = 0; i < 3; ++i) {
        const Tensor left = a.alias(views::select(a.geometry(), 0, i));
        const Tensor right = b.alias(views::select(b.geometry(), 0, i));
        const std::vector<double> part = product(left, right, s.m, s.k, s.n);
        want.insert(want.end(), part.begin(), part.end());
      }
      for (const Tensor& x : layouts(a)) {
        for (const Tensor& y : layouts(b)) {
          const Tensor out = Tensor::full(Shape{3, s.m, s.n}, 1, dtype);
          bmm(x, y, out);
          expect_close(out, want, tol(dtype, s.k), tol(dtype, s.k));
        }
      }
    }
  }
}

TEST(Linear, AddsTheBias) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64}) {
    for (const Size& s : kSizes) {
      const Tensor x = random_tensor(Shape{s.m, s.k}, dtype, -2, 3, 1);
      const Tensor w = random_tensor(Shape{s.n, s.k}, dtype, -2, 3, 2);
      const Tensor bias = random_tensor(Shape{s.n}, dtype, -2, 3, 3);
      std::vector<double> want = product(x, transposed(w, 0, 1), s.m, s.k, s.n);
      const Tensor out = Tensor::empty(Shape{s.m, s.n}, dtype);
      linear(x, w, Tensor(), out);
      expect_close(out, want, tol(dtype, s.k), tol(dtype, s.k));
      const std::vector<double> b = bias.to_vector<double>();
      for (size_t i = 0; i < want.size(); ++i) want[i] += b[i % b.size()];
      linear(x, w, bias, out);
      expect_close(out, want, tol(dtype, s.k), tol(dtype, s.k));
    }
  }
}

TEST(Matmul, ThreadsDoNotMatter) {
  const Tensor a = random_tensor(ints({300, 200}), DType::kFloat32);
  const Tensor b = random_tensor(ints({200, 310}), DType::kFloat32, -1, 1, 2);
  expect_threads_do_not_matter({DType::kFloat32, {300, 310}}, [&](const Tensor& out) { gemm(a, b, out); });
  const Tensor c = random_tensor(ints({16, 70, 80}), DType::kFloat32);
  const Tensor d = random_tensor(ints({16, 80, 60}), DType::kFloat32, -1, 1, 2);
  expect_threads_do_not_matter({DType::kFloat32, {16, 70, 60}}, [&](const Tensor& out) { bmm(c, d, out); });
}

TEST(Matmul, RefusesShapesThatDoNotFit) {
  EXPECT_NE(error_of([] { gemm(Tensor::zeros({2, 3}), Tensor::zeros({4, 2}), Tensor::zeros({2, 2})); }).find("[4, 2]"),
            std::string::npos);
}

}  // namespace
}  // namespace tapewire::kernels
