#include "core/kernels/svd.h"

#include <algorithm>

#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/eigen_impl.h"
#include "core/kernels/elementwise_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

// Of one matrix. Eigen sets up several of its size, without a look at the cancel token.
constexpr int64_t kMostElements = int64_t{1} << 24;

// In double for either dtype: compiling it takes the better part of a minute.
Eigen::BDCSVD<Eigen::MatrixXd> decompose(const Eigen::MatrixXd& matrix) {
  return {matrix, Eigen::ComputeThinU | Eigen::ComputeThinV};
}

// What it takes beside its result, counted in double: the matrix and what it is made to, and Eigen's eight squares of
// the rank.
size_t scratch_bytes(int64_t m, int64_t n) {
  const int64_t k = std::min(m, n) + 1;
  return sizeof(double) * static_cast<size_t>(3 * m * n + 8 * k * k);
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
    using Map = Eigen::Map<Matrix>;
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
        const Eigen::BDCSVD<Eigen::MatrixXd> parts = decompose(matrix.template cast<double>());
        Map(to_u + i * m * k, m, k) = parts.matrixU().cast<T>();
        Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, 1>>(to_s + i * k, k) = parts.singularValues().cast<T>();
        Map(to_vh + i * k * n, k, n) = parts.matrixV().transpose().cast<T>();
      }
    });
  });
}

}  // namespace tapewire::kernels
