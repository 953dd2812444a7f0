#include "core/kernels/sort.h"

#include <algorithm>
#include <numeric>

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

// The places of `line` in order: a stable sort of one line.
std::vector<size_t> plain_order(const std::vector<double>& line, bool descending) {
  std::vector<size_t> places(line.size());
  std::iota(places.begin(), places.end(), size_t{0});
  std::ranges::stable_sort(places, [&](size_t a, size_t b) {
    const double x = line[descending ? b : a];
    const double y = line[descending ? a : b];
    return x < y || (std::isnan(y) && !std::isnan(x));
  });
  return places;
}

TEST(Sort, IsStableAlongEveryDimensionWithNanLast) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt64, DType::kUInt8, DType::kBool}) {
    for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{300}, Shape{4, 5}, Shape{3, 40, 2}}) {
      const Tensor x = random_tensor(shape, dtype, -3, 3);
      if (dtype == DType::kFloat64 && x.numel() > 3) x.mutable_data<double>()[3] = NAN;
      const std::vector<double> values = x.to_vector<double>();
      for (int64_t dim = 0; dim < std::max<int64_t>(1, x.dim()); ++dim) {
        const auto along = static_cast<size_t>(dim);
        const int64_t length = x.dim() == 0 ? 1 : shape[along];
        int64_t inner = 1;
        for (size_t d = along + 1; d < shape.size(); ++d) inner *= shape[d];
        for (const bool descending : {false, true}) {
          for (const int64_t kept : {length, (length + 1) / 2}) {
            Shape kept_shape = shape;
            if (x.dim() > 0) kept_shape[along] = kept;
            const Tensor out = Tensor::empty(kept_shape, dtype);
            const Tensor places = Tensor::empty(kept_shape, DType::kInt64);
            for (const Tensor& from : layouts(x)) {
              kept == length ? sort(from, dim, descending, /*stable=*/true, out, places)
                             : topk(from, dim, descending, out, places);
              const std::vector<double> got = out.to_vector<double>();
              const std::vector<double> where = places.to_vector<double>();
              for (int64_t line = 0; line < x.numel() / std::max<int64_t>(length, 1); ++line) {
                const auto place = [&](int64_t i, int64_t size) {
                  return static_cast<size_t>((line / inner * size + i) * inner + line % inner);
                };
                std::vector<double> want;
                for (int64_t i = 0; i < length; ++i) want.push_back(values[place(i, length)]);
                const std::vector<size_t> order = plain_order(want, descending);
                for (int64_t i = 0; i < kept; ++i) {
                  // Which of equal ones topk takes is not said.
                  const size_t expected = order[static_cast<size_t>(i)];
                  const auto given = static_cast<size_t>(where[place(i, kept)]);
                  if (kept == length) {
                    ASSERT_EQ(given, expected);
                  }
                  if (std::isnan(want[expected])) {
                    ASSERT_TRUE(std::isnan(want[given]));
                  } else {
                    ASSERT_EQ(want[given], want[expected]);
                    ASSERT_EQ(got[place(i, kept)], want[expected]);
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tapewire::kernels
