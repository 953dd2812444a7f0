#include "core/kernels/svd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/base/parallel_for.h"
#include "core/base/strings.h"
#include "core/kernels/gemm_impl.h"
#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

// A matrix in doubles, row by row.
struct Matrix {
  int64_t rows = 0, cols = 0;
  std::vector<double> data;

  double& at(int64_t i, int64_t j) { return data[static_cast<size_t>(i * cols + j)]; }
  MatrixView<double> view() const { return {data.data(), rows, cols, cols, 1}; }
  MatrixView<double> turned() const { return {data.data(), cols, rows, 1, cols}; }
};

Matrix matrix_of(const Tensor& x, int64_t batch) {
  const std::vector<double> all = x.to_vector<double>();
  const int64_t size = x.size(1) * x.size(2);
  return {x.size(1), x.size(2), {all.begin() + batch * size, all.begin() + (batch + 1) * size}};
}

Matrix product(const MatrixView<double>& a, const MatrixView<double>& b) {
  Matrix out{a.rows, b.cols, std::vector<double>(static_cast<size_t>(a.rows * b.cols))};
  gemm_serial(a, b, out.data.data(), b.cols, /*add=*/false);
  return out;
}

double largest_gap(const Matrix& a, const Matrix& b) {
  double most = 0;
  for (size_t i = 0; i < a.data.size(); ++i) most = std::max(most, std::abs(a.data[i] - b.data[i]));
  return most;
}

Matrix identity(int64_t n) {
  Matrix out{n, n, std::vector<double>(static_cast<size_t>(n * n))};
  for (int64_t i = 0; i < n; ++i) out.at(i, i) = 1;
  return out;
}

struct Parts {
  Tensor u, s, vh;
};

Parts svd_of(const Tensor& x) {
  const int64_t k = std::min(x.size(1), x.size(2));
  Parts parts{Tensor::empty({x.size(0), x.size(1), k}, x.dtype()), Tensor::empty({x.size(0), k}, x.dtype()),
              Tensor::empty({x.size(0), k, x.size(2)}, x.dtype())};
  svd(x, parts.u, parts.s, parts.vh);
  return parts;
}

// Whether u and vh are orthogonal, s falls and is not negative, and all multiplied give x. The error of that is
// beside the largest singular value.
void expect_decomposed(const std::string& what, const Tensor& x) {
  SCOPED_TRACE(what);
  const Parts parts = svd_of(x);
  const double eps = x.dtype() == DType::kFloat32 ? 1e-6 : 1e-14;
  const std::vector<double> values = parts.s.to_vector<double>();
  for (int64_t b = 0; b < x.size(0); ++b) {
    const Matrix from = matrix_of(x, b);
    if (from.data.empty()) continue;
    Matrix u = matrix_of(parts.u, b);
    const Matrix vh = matrix_of(parts.vh, b);
    const int64_t k = u.cols;
    EXPECT_LE(largest_gap(product(u.turned(), u.view()), identity(k)), 30 * eps);
    EXPECT_LE(largest_gap(product(vh.view(), vh.turned()), identity(k)), 30 * eps);
    for (int64_t j = 0; j < k; ++j) {
      const double s = values[static_cast<size_t>(b * k + j)];
      EXPECT_GE(s, 0);
      if (j > 0) {
        EXPECT_LE(s, values[static_cast<size_t>(b * k + j - 1)]);
      }
      for (int64_t i = 0; i < u.rows; ++i) u.at(i, j) *= s;
    }
    EXPECT_LE(largest_gap(product(u.view(), vh.view()), from), 10 * eps * values[static_cast<size_t>(b * k)]);
  }
}

// A matrix [1, n, n], n = diagonal.size(), with these numbers on its diagonal and those above it.
Tensor bidiagonal(const std::vector<double>& diagonal, const std::vector<double>& above) {
  const auto n = static_cast<int64_t>(diagonal.size());
  const Tensor x = Tensor::full({1, n, n}, 0.0, DType::kFloat64);
  for (size_t i = 0; i < diagonal.size(); ++i) x.mutable_data<double>()[i * (diagonal.size() + 1)] = diagonal[i];
  for (size_t i = 0; i < above.size(); ++i) x.mutable_data<double>()[i * (diagonal.size() + 1) + 1] = above[i];
  return x;
}

TEST(Svd, PartsAreOrthogonalAndMultiplyBack) {
  for (const DType dtype : kFloats) {
    for (const Shape& shape :
         {Shape{2, 3, 3}, Shape{3, 5, 2}, Shape{1, 2, 20}, Shape{2, 0, 3}, Shape{0, 2, 2}, Shape{3, 1, 1},
          Shape{1, 1, 7}, Shape{1, 90, 61}, Shape{2, 16, 130}, Shape{1, 200, 200}}) {
      expect_decomposed(to_string(Ints(shape)), random_tensor(shape, dtype));
    }
  }
}

TEST(Svd, MatricesWithoutFullRank) {
  for (const DType dtype : kFloats) {
    for (const int64_t n : {2, 17, 100, 500}) {
      expect_decomposed("equal numbers", Tensor::full({1, n, n}, 0.7, dtype));
      expect_decomposed("equal numbers, wide", Tensor::full({1, 3, n}, -0.7, dtype));
      expect_decomposed("zeros", Tensor::full({1, n, n}, 0.0, dtype));
    }
  }
  // One value, and nothing but rounding beside it; 1,000 equal rows have brought libraries down.
  const Parts parts = svd_of(Tensor::full({1, 1000, 1000}, 0.5, DType::kFloat64));
  const std::vector<double> s = parts.s.to_vector<double>();
  EXPECT_NEAR(s[0], 500, 1e-9);
  EXPECT_LE(s[1], 1e-10);
  const Tensor few = random_tensor(Shape{1, 120, 4}, DType::kFloat64);
  const Tensor more = random_tensor(Shape{1, 4, 90}, DType::kFloat64);
  const Matrix both = product(matrix_of(few, 0).view(), matrix_of(more, 0).view());
  const Tensor rank_4 = Tensor::empty({1, 120, 90}, DType::kFloat64);
  std::ranges::copy(both.data, rank_4.mutable_data<double>());
  expect_decomposed("rank 4", rank_4);
  EXPECT_LE(svd_of(rank_4).s.to_vector<double>()[4], 1e-12);
}

TEST(Svd, ZerosOnTheDiagonal) {
  expect_decomposed("at the end", bidiagonal({1, 2, 3, 0}, {1, 1, 1}));
  expect_decomposed("at the begin", bidiagonal({0, 2, 3, 4}, {1, 1, 1}));
  expect_decomposed("within", bidiagonal({1, 0, 3, 0, 5}, {1, 1, 1, 1}));
  expect_decomposed("everywhere", bidiagonal({0, 0, 0, 0}, {1, 2, 3}));
  expect_decomposed("in parts", bidiagonal({1, 2, 0, 3, 4}, {1, 0, 1, 1}));
}

TEST(Svd, ValuesOfAllKinds) {
  expect_decomposed("all the same", bidiagonal(std::vector<double>(100, 1.0), {}));
  expect_decomposed("of both signs", bidiagonal({-1, 1, -1, 1, -2}, {}));
  std::vector<double> graded(60);
  for (size_t i = 0; i < graded.size(); ++i) graded[i] = std::pow(10.0, -static_cast<double>(i) / 4);
  expect_decomposed("of 15 magnitudes", bidiagonal(graded, std::vector<double>(59, 1e-3)));
  std::ranges::reverse(graded);
  expect_decomposed("of 15 magnitudes, rising", bidiagonal(graded, std::vector<double>(59, 1e-3)));
  for (const double size : {1e-300, 1e300, 5e-324, 1.7e308}) {
    expect_decomposed(str_cat("of ", size), bidiagonal({size, size, size}, {}));
  }
  const Tensor tiny = random_tensor(Shape{1, 30, 30}, DType::kFloat64);
  for (double& value : std::span(tiny.mutable_data<double>(), 900)) value *= 1e-290;
  expect_decomposed("whose squares are none", tiny);
}

TEST(Svd, SingularValuesAreThoseOfTheDefinition) {
  // [[3, 0], [4, 5]]: sqrt(45) and sqrt(5).
  const Tensor x = bidiagonal({3, 5}, {});
  x.mutable_data<double>()[2] = 4;
  const std::vector<double> s = svd_of(x).s.to_vector<double>();
  EXPECT_NEAR(s[0], std::sqrt(45.0), 1e-14);
  EXPECT_NEAR(s[1], std::sqrt(5.0), 1e-14);
}

TEST(Svd, ManyThreadsGiveTheSameBits) {
  const Tensor x = random_tensor(Shape{1, 150, 150}, DType::kFloat64);
  const Parts one = svd_of(x);
  const ComputeThreadsScope threads(4);
  const Parts four = svd_of(x);
  EXPECT_EQ(one.u.to_vector<double>(), four.u.to_vector<double>());
  EXPECT_EQ(one.s.to_vector<double>(), four.s.to_vector<double>());
  EXPECT_EQ(one.vh.to_vector<double>(), four.vh.to_vector<double>());
}

TEST(Svd, RefusesWhatIsTooLargeToBeStopped) {
  const Tensor x = Tensor::empty({1, 16'777'217, 1}, DType::kFloat32);
  const Tensor one = Tensor::empty({1, 1, 1}, DType::kFloat32);
  EXPECT_THROW(svd(x, Tensor::empty({1, 16'777'217, 1}, DType::kFloat32), Tensor::empty({1, 1}, DType::kFloat32), one),
               Error);
}

TEST(Svd, RefusesWhatIsNotFinite) {
  const Tensor x = Tensor::full({1, 2, 2}, std::numeric_limits<double>::quiet_NaN(), DType::kFloat64);
  const Tensor square = Tensor::empty({1, 2, 2}, DType::kFloat64);
  EXPECT_THROW(svd(x, square, Tensor::empty({1, 2}, DType::kFloat64), square), Error);
}

}  // namespace
}  // namespace tapewire::kernels
