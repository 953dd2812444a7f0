#include <algorithm>
#include <bit>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/eigen_impl.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/gemm_impl.h"
#include "core/kernels/simd_impl.h"

namespace tapewire::kernels {
namespace {

// Products up to so many multiplications are done by hand: Eigen's blocking costs more than they do.
constexpr int64_t kSmallProduct = 4096;
// A task should have so many multiplications at least.
constexpr int64_t kTaskProduct = 3 << 20;
// The most of a product with a vector at once: Eigen makes it in one sweep, without a look at the cancel token.
constexpr int64_t kVectorProduct = 8 << 20;

template <class T>
T dot(const T* x, const T* y, int64_t n) {
  using simd::kLanes;
  simd::Vec<T> sums[2] = {};
  int64_t i = 0;
  for (; i + 2 * kLanes<T> <= n; i += 2 * kLanes<T>) {
    sums[0] += simd::load(x + i) * simd::load(y + i);
    sums[1] += simd::load(x + i + kLanes<T>) * simd::load(y + i + kLanes<T>);
  }
  for (; i + kLanes<T> <= n; i += kLanes<T>) sums[0] += simd::load(x + i) * simd::load(y + i);
  T total = simd::sum_lanes(sums[0] + sums[1]);
  for (; i < n; ++i) total += x[i] * y[i];
  return total;
}

template <class T>
void small_product(const MatrixView<T>& a, const MatrixView<T>& b, T* out, int64_t out_stride, bool add) {
  const bool dots = a.col_stride == 1 && b.row_stride == 1 && a.cols >= 4;
  for (int64_t i = 0; i < a.rows; ++i) {
    T* row = out + i * out_stride;
    const T* left = a.data + i * a.row_stride;
    if (dots) {
      for (int64_t j = 0; j < b.cols; ++j) {
        const T product = dot(left, b.data + j * b.col_stride, a.cols);
        row[j] = add ? row[j] + product : product;
      }
      continue;
    }
    if (!add) std::fill_n(row, b.cols, T{0});
    for (int64_t p = 0; p < a.cols; ++p) {
      const T factor = left[p * a.col_stride];
      const T* right = b.data + p * b.row_stride;
      if (b.col_stride == 1) {
        TW_INDEPENDENT
        for (int64_t j = 0; j < b.cols; ++j) row[j] += factor * right[j];
      } else {
        for (int64_t j = 0; j < b.cols; ++j) row[j] += factor * right[j * b.col_stride];
      }
    }
  }
}

template <class T, int kOrder>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, kOrder>;
template <class T, int kOrder>
using EigenMap = Eigen::Map<const EigenMatrix<T, kOrder>, Eigen::Unaligned, Eigen::OuterStride<>>;

template <class T, class Left, class Right>
void multiply_into(const Left& a, const Right& b, T* out, int64_t out_stride, bool add) {
  Eigen::Map<EigenMatrix<T, Eigen::RowMajor>, Eigen::Unaligned, Eigen::OuterStride<>> to(
      out, a.rows(), b.cols(), Eigen::OuterStride<>(out_stride));
  if (add) {
    to.noalias() += a * b;
  } else {
    to.noalias() = a * b;
  }
}

// Calls f with the view as an Eigen map of its storage order.
template <class T, class F>
void as_eigen(const MatrixView<T>& m, const F& f) {
  if (m.col_stride == 1) {
    f(EigenMap<T, Eigen::RowMajor>(m.data, m.rows, m.cols, Eigen::OuterStride<>(m.row_stride)));
  } else {
    f(EigenMap<T, Eigen::ColMajor>(m.data, m.rows, m.cols, Eigen::OuterStride<>(m.col_stride)));
  }
}

// A matrix times a vector, either way round, in pieces.
template <class T>
void long_vector_product(const MatrixView<T>& a, const MatrixView<T>& b, T* out, int64_t out_stride, bool add) {
  constexpr int64_t kLeastStep = 8;  // Eigen takes so many rows together
  const int64_t depth = std::min(a.cols, kVectorProduct / kLeastStep);
  const int64_t size = std::max(a.rows, b.cols);
  const int64_t step = kVectorProduct / depth / kLeastStep * kLeastStep;
  for (int64_t p = 0; p < a.cols; p += depth) {
    const int64_t terms = std::min(depth, a.cols - p);
    for (int64_t i = 0; i < size; i += step) {
      check_cancelled();
      const int64_t count = std::min(step, size - i);
      if (a.rows == 1) {
        gemm_serial(a.block(0, 1, p, terms), b.block(p, terms, i, count), out + i, out_stride, add || p > 0);
      } else {
        gemm_serial(a.block(i, count, p, terms), b.block(p, terms, 0, 1), out + i * out_stride, out_stride,
                    add || p > 0);
      }
    }
  }
}

}  // namespace

template <class T>
void gemm_serial(const MatrixView<T>& a, const MatrixView<T>& b, T* out, int64_t out_stride, bool add) {
  if (a.rows == 0 || b.cols == 0) return;
  if (a.cols == 0) {
    for (int64_t i = 0; i < a.rows && !add; ++i) {
      count_work(b.cols);
      std::fill_n(out + i * out_stride, b.cols, T{0});
    }
    return;
  }
  const int64_t products = a.rows * a.cols * b.cols;
  if (products <= kSmallProduct) return small_product(a, b, out, out_stride, add);
  if (products > kVectorProduct && (a.rows == 1 || b.cols == 1)) return long_vector_product(a, b, out, out_stride, add);
  as_eigen(a, [&](const auto& left) {
    as_eigen(b, [&](const auto& right) { multiply_into<T>(left, right, out, out_stride, add); });
  });
}

template <class T>
void gemm_parallel(const MatrixView<T>& a, const MatrixView<T>& b, T* out, int64_t out_stride, bool add) {
  const int64_t m = a.rows;
  const int64_t n = b.cols;
  const int64_t products = m * n * a.cols;
  if (products < 2 * kTaskProduct) return gemm_serial(a, b, out, out_stride, add);
  const int64_t tasks = static_cast<int64_t>(std::bit_floor(std::min<uint64_t>(16, products / kTaskProduct)));
  constexpr int64_t kRegisterBlock = 24;  // Eigen's, for float
  const int64_t size = std::max(m, n);
  const int64_t even = (size + tasks - 1) / tasks;
  const int64_t grain = std::min(size, (even + kRegisterBlock - 1) / kRegisterBlock * kRegisterBlock);
  parallel_for(size, grain, [&](int64_t begin, int64_t end) {
    if (m >= n) {
      gemm_serial(a.block(begin, end - begin, 0, a.cols), b, out + begin * out_stride, out_stride, add);
    } else {
      gemm_serial(a, b.block(0, b.rows, begin, end - begin), out + begin, out_stride, add);
    }
  });
}

template void gemm_serial<float>(const MatrixView<float>&, const MatrixView<float>&, float*, int64_t, bool);
template void gemm_serial<double>(const MatrixView<double>&, const MatrixView<double>&, double*, int64_t, bool);
template void gemm_parallel<float>(const MatrixView<float>&, const MatrixView<float>&, float*, int64_t, bool);
template void gemm_parallel<double>(const MatrixView<double>&, const MatrixView<double>&, double*, int64_t, bool);

}  // namespace tapewire::kernels
