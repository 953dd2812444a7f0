#include "core/kernels/triangle.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/parallel_for.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

// Zeros columns [first(row), last(row)) of every row of every matrix.
template <class Range>
void clear(const Tensor& x, const Range& range) {
  if (x.dim() < 2) fail_internal("a triangle of ", to_string(x.sizes()));
  if (x.numel() == 0) return;
  const size_t row_dim = x.sizes().size() - 2;
  const int64_t rows = x.sizes()[row_dim];
  const int64_t columns = x.sizes()[row_dim + 1];
  const int64_t step = x.strides()[row_dim + 1];
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    T* data = x.mutable_data<T>();
    parallel_for(x.numel() / columns, std::max<int64_t>(1, kLightGrain / columns), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T* row = data;
        int64_t rest = r;
        for (size_t d = row_dim + 1; d-- > 0;) {
          row += rest % x.sizes()[d] * x.strides()[d];
          rest /= x.sizes()[d];
        }
        const auto [first, last] = range(r % rows, columns);
        row += first * step;
        in_pieces(last - first, [&](int64_t from, int64_t to) {
          for (int64_t c = from; c < to; ++c) row[c * step] = T{};
        });
      }
    });
  });
}

// The column that the diagonal has in a row, kept in [0, columns].
int64_t on_diagonal(int64_t row, int64_t k, int64_t columns) {
  int64_t column = 0;
  if (__builtin_add_overflow(row, k, &column)) column = k > 0 ? columns : 0;
  return std::clamp<int64_t>(column, 0, columns);
}

}  // namespace

void clear_above_diagonal(const Tensor& x, int64_t k) {
  clear(x, [k](int64_t row, int64_t columns) {
    // One beyond the diagonal, which may itself lie left of the matrix.
    const int64_t next = k < -row ? 0 : std::min(columns, on_diagonal(row, k, columns) + 1);
    return std::pair(next, columns);
  });
}

void clear_below_diagonal(const Tensor& x, int64_t k) {
  clear(x, [k](int64_t row, int64_t columns) { return std::pair(int64_t{0}, on_diagonal(row, k, columns)); });
}

}  // namespace tapewire::kernels
