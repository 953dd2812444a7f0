#include "core/kernels/svd.h"

#include <limits>

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

TEST(Svd, PartsAreOrthogonalAndMultiplyBack) {
  for (const DType dtype : kFloats) {
    for (const Shape& shape : {Shape{2, 3, 3}, Shape{3, 5, 2}, Shape{1, 2, 20}, Shape{2, 0, 3}, Shape{0, 2, 2}}) {
      const Tensor x = random_tensor(shape, dtype);
      const int64_t m = shape[1];
      const int64_t n = shape[2];
      const int64_t k = std::min(m, n);
      const Tensor u = Tensor::empty({shape[0], m, k}, dtype);
      const Tensor s = Tensor::empty({shape[0], k}, dtype);
      const Tensor vh = Tensor::empty({shape[0], k, n}, dtype);
      svd(x, u, s, vh);
      const auto us = u.to_vector<double>();
      const auto ss = s.to_vector<double>();
      const auto vs = vh.to_vector<double>();
      const auto at = [](const std::vector<double>& v, int64_t i) { return v[static_cast<size_t>(i)]; };
      std::vector<double> back;
      for (int64_t b = 0; b < shape[0]; ++b) {
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            double total = 0;
            for (int64_t p = 0; p < k; ++p) {
              total += at(us, (b * m + i) * k + p) * at(ss, b * k + p) * at(vs, (b * k + p) * n + j);
            }
            back.push_back(total);
          }
        }
        for (int64_t p = 0; p < k; ++p) {
          if (p > 0) {
            EXPECT_LE(at(ss, b * k + p), at(ss, b * k + p - 1));
          }
          for (int64_t q = 0; q < k; ++q) {
            double left = 0;
            double right = 0;
            for (int64_t i = 0; i < m; ++i) left += at(us, (b * m + i) * k + p) * at(us, (b * m + i) * k + q);
            for (int64_t j = 0; j < n; ++j) right += at(vs, (b * k + p) * n + j) * at(vs, (b * k + q) * n + j);
            EXPECT_NEAR(left, p == q ? 1 : 0, 1e-5);
            EXPECT_NEAR(right, p == q ? 1 : 0, 1e-5);
          }
        }
      }
      expect_close(x, back, dtype == DType::kFloat32 ? 1e-5 : 1e-12, 1e-5);
    }
  }
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
