#include "core/kernels/qr.h"

#include "core/kernels/copy.h"
#include "core/kernels/eigen_impl.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {

void orthonormal_columns(const Tensor& x, const Tensor& q) {
  if (x.dim() != 2 || x.size(0) < x.size(1) || q.sizes() != x.sizes() || !q.is_contiguous()) {
    fail_internal("orthonormal_columns: expects x [m, n] with m >= n and a plain q of its sizes, got ",
                  to_string(x.sizes()), " and ", to_string(q.sizes()));
  }
  const int64_t m = x.size(0);
  const int64_t n = x.size(1);
  if (n == 0) return;
  dispatch_floating("orthonormal_columns", x.dtype(), [&]<class T>(TypeTag<T>) {
    using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
    using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Tensor plain = contiguous(x);
    const Eigen::HouseholderQR<Matrix> parts(Eigen::Map<const RowMajor>(plain.data<T>(), m, n));
    const Eigen::Matrix<T, Eigen::Dynamic, 1> signs = parts.matrixQR().diagonal().array().sign();
    const Matrix full = parts.householderQ() * Matrix::Identity(m, n);
    Eigen::Map<RowMajor>(q.mutable_data<T>(), m, n) = full * signs.asDiagonal();
  });
}

}  // namespace tapewire::kernels
