#include "core/kernels/scan.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

TEST(LinearRecurrence, RunsBothWaysAlongEveryDimension) {
  for (const DType dtype : kFloats) {
    for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{9}, Shape{4, 5}, Shape{3, 7, 200}}) {
      const Tensor a = random_tensor(shape, dtype, -1, 1);
      const Tensor b = random_tensor(shape, dtype, -1, 1, 2);
      const std::vector<double> factors = a.to_vector<double>();
      const std::vector<double> terms = b.to_vector<double>();
      for (int64_t dim = 0; dim < std::max<int64_t>(1, a.dim()); ++dim) {
        int64_t inner = 1;
        for (int64_t d = dim + 1; d < a.dim(); ++d) inner *= a.sizes()[static_cast<size_t>(d)];
        const int64_t length = a.dim() == 0 ? 1 : a.sizes()[static_cast<size_t>(dim)];
        for (const bool reverse : {false, true}) {
          std::vector<double> want(terms.size());
          const auto n = static_cast<int64_t>(terms.size());
          for (int64_t k = 0; k < n; ++k) {
            const int64_t i = reverse ? n - 1 - k : k;
            const int64_t place = i / inner % length;
            const bool first = place == (reverse ? length - 1 : 0);
            const auto at = static_cast<size_t>(i);
            const size_t before = first ? at : static_cast<size_t>(reverse ? i + inner : i - inner);
            const double link = factors[reverse ? before : at];
            want[at] = terms[at] + (first ? 0 : link * want[before]);
          }
          const double tol = dtype == DType::kFloat32 ? 1e-5 : 1e-13;
          for (const Tensor& from : layouts(a)) {
            for (const Tensor& added : layouts(b)) {
              const Tensor out = Tensor::empty(shape, dtype);
              linear_recurrence(from, added, dim, reverse, out);
              expect_close(out, want, tol, tol);
              if (::testing::Test::HasFailure()) return;
            }
          }
        }
      }
    }
  }
}

TEST(Scan, SumsFromTheEnd) {
  const Tensor out = Tensor::empty({2, 3}, DType::kInt64);
  cumsum(tensor_of({1, 2, 3, 4, 5, 6}, ints({2, 3}), DType::kInt64), 1, out, /*reverse=*/true);
  EXPECT_EQ(out.to_vector<double>(), (std::vector<double>{6, 5, 3, 15, 11, 6}));
}

}  // namespace
}  // namespace tapewire::kernels
