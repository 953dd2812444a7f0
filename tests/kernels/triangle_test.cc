#include "core/kernels/triangle.h"

#include <limits>

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

TEST(Triangle, ClearsEitherSideOfAnyDiagonal) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const int64_t k : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{4}, int64_t{-3}, kMost, -kMost - 1}) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kBool}) {
      std::vector<double> lower;
      std::vector<double> upper;
      for (int64_t i = 0; i < 24; ++i) {
        const int64_t row = i / 4 % 3;
        const int64_t column = i % 4;
        lower.push_back(column - row <= k ? 1 : 0);
        upper.push_back(column - row >= k ? 1 : 0);
      }
      for (const Tensor& to : layouts(tensor_of(std::vector<double>(24, 1), ints({2, 3, 4}), dtype))) {
        clear_above_diagonal(to, k);
        expect_close(to, lower, 0, 0, str_cat("above ", k));
      }
      for (const Tensor& to : layouts(tensor_of(std::vector<double>(24, 1), ints({2, 3, 4}), dtype))) {
        clear_below_diagonal(to, k);
        expect_close(to, upper, 0, 0, str_cat("below ", k));
      }
    }
  }
}

}  // namespace
}  // namespace tapewire::kernels
