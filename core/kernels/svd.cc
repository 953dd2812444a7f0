#include "core/kernels/svd.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/base/parallel_for.h"
#include "core/kernels/bidiagonal.h"
#include "core/kernels/copy.h"
#include "core/kernels/eigen_impl.h"
#include "core/kernels/elementwise_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

// Of one matrix. Eigen sets up several of its size, without a look at the cancel token.
constexpr int64_t kMostElements = int64_t{1} << 24;

struct Parts {
  Columns u;
  Columns v;
  std::vector<double> s;
  std::vector<size_t> order;  // of the singular values, the largest first
};

// What it takes beside its result, in doubles: the matrix, what it is made to, and either side twice for a moment.
size_t scratch_bytes(int64_t m, int64_t n) {
  const int64_t k = std::min(m, n);
  return sizeof(double) * static_cast<size_t>(m * n + 2 * k * (m + n) + 64 * (m + n));
}

// Of a matrix with m >= n whose numbers are at most 1; in double for either dtype. Eigen's own BDCSVD is not for
// strangers' matrices: with equal rows of 500 numbers 3.4.0 gives NaN, with 1000 it reads outside of its arrays.
Parts decompose(const Eigen::MatrixXd& matrix) {
  const int64_t m = matrix.rows();
  const int64_t n = matrix.cols();
  Eigen::internal::UpperBidiagonalization<Eigen::MatrixXd> form(matrix);
  std::vector<double> d(static_cast<size_t>(n));
  std::vector<double> e(static_cast<size_t>(n));
  auto bidiagonal = form.bidiagonal();
  Eigen::RowVectorXd::Map(d.data(), n) = bidiagonal.diagonal<0>();
  Eigen::RowVectorXd::Map(e.data(), n - 1) = bidiagonal.diagonal<1>();
  const auto columns = [](auto&& householder, int64_t rows, int64_t cols) {
    Eigen::MatrixXd out = Eigen::MatrixXd::Identity(rows, cols);
    out.applyOnTheLeft(householder);
    return Columns(out.data(), rows, cols);
  };
  Parts parts{columns(form.householderU(), m, n), columns(form.householderV(), n, n), {}, {}};
  diagonalize_bidiagonal(d, e, parts.u, parts.v);
  for (size_t i = 0; i < d.size(); ++i) {
    if (!std::signbit(d[i])) continue;
    d[i] = -d[i];
    for (int64_t row = 0; row < n; ++row) parts.v.at(row, static_cast<int64_t>(i)) *= -1;
  }
  parts.order.resize(d.size());
  std::iota(parts.order.begin(), parts.order.end(), 0);
  std::ranges::stable_sort(parts.order, [&](size_t a, size_t b) { return d[a] > d[b]; });
  parts.s = std::move(d);
  return parts;
}

}  // namespace

void svd(const Tensor& x, const Tensor& u, const Tensor& s, const Tensor& vh) {
  const int64_t m = x.size(1);
  const int64_t n = x.size(2);
  const int64_t k = std::min(m, n);
  if (u.numel() != x.size(0) * m * k || s.numel() != x.size(0) * k || vh.numel() != x.size(0) * k * n) {
    fail_internal("svd: outputs do not fit ", to_string(x.sizes()));
  }
  if (m > 0 && n > kMostElements / m) {
    fail("svd: a matrix [", m, ", ", n, "] is too large; at most ", kMostElements, " elements are decomposed");
  }
  dispatch_floating("svd", x.dtype(), [&]<class T>(TypeTag<T>) {
    using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Tensor plain = contiguous(x);
    const T* from = plain.data<T>();
    T* to_u = u.mutable_data<T>();
    T* to_s = s.mutable_data<T>();
    T* to_vh = vh.mutable_data<T>();
    if (k == 0) return;
    const int64_t grain = std::max<int64_t>(1, kHeavyGrain / (m * n * k));
    parallel_for(x.size(0), grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Eigen::Map<const Matrix> matrix(from + i * m * n, m, n);
        if (!matrix.allFinite()) {
          fail("svd: The algorithm failed to converge because the input matrix contained non-finite values.");
        }
        AdoptedCount scratch;
        scratch.add(scratch_bytes(m, n));
        // To numbers of at most 1 by a power of two, which changes no digit.
        const double most = matrix.size() == 0 ? 0 : static_cast<double>(matrix.cwiseAbs().maxCoeff());
        const int exponent = most > 0 ? std::ilogb(most) + 1 : 0;
        const auto scaled = [&](T value) { return std::ldexp(static_cast<double>(value), -exponent); };
        const bool wide = m < n;
        const Parts parts =
            wide ? decompose(matrix.transpose().unaryExpr(scaled)) : decompose(matrix.unaryExpr(scaled));
        const Columns& left = wide ? parts.v : parts.u;
        const Columns& right = wide ? parts.u : parts.v;
        for (int64_t j = 0; j < k; ++j) {
          count_work(m + n);
          const size_t from_column = parts.order[static_cast<size_t>(j)];
          const auto column = static_cast<int64_t>(from_column);
          to_s[i * k + j] = static_cast<T>(std::ldexp(parts.s[from_column], exponent));
          for (int64_t row = 0; row < m; ++row) to_u[(i * m + row) * k + j] = static_cast<T>(left.at(row, column));
          for (int64_t row = 0; row < n; ++row) to_vh[(i * k + j) * n + row] = static_cast<T>(right.at(row, column));
        }
      }
    });
  });
}

}  // namespace tapewire::kernels
