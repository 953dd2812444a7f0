#include "core/kernels/qr.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

TEST(Qr, ColumnsAreOrthonormalAndSpanWithAPositiveDiagonal) {
  for (const DType dtype : kFloats) {
    for (const Shape& shape : {Shape{3, 3}, Shape{7, 2}, Shape{1, 1}, Shape{4, 0}, Shape{70, 60}}) {
      const Tensor x = random_tensor(shape, dtype);
      const Tensor q = Tensor::empty(shape, dtype);
      orthonormal_columns(x, q);
      const auto xs = x.to_vector<double>();
      const auto qs = q.to_vector<double>();
      const int64_t n = shape[1];
      const double tolerance = dtype == DType::kFloat32 ? 1e-5 : 1e-13;
      // dot(a, b) of columns i of a and j of b.
      const auto dot = [&](const std::vector<double>& a, int64_t i, const std::vector<double>& b, int64_t j) {
        double sum = 0;
        for (int64_t row = 0; row < shape[0]; ++row) {
          sum += a[static_cast<size_t>(row * n + i)] * b[static_cast<size_t>(row * n + j)];
        }
        return sum;
      };
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) EXPECT_NEAR(dot(qs, i, qs, j), i == j ? 1 : 0, tolerance);
        EXPECT_GT(dot(qs, i, xs, i), 0) << "r's diagonal";
        // r is upper triangular: a column of x has nothing of later columns of q.
        for (int64_t j = 0; j < i; ++j) EXPECT_NEAR(dot(qs, i, xs, j), 0, 20 * tolerance);
      }
    }
  }
}

}  // namespace
}  // namespace tapewire::kernels
