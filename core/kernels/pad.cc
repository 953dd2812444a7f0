#include "core/kernels/pad.h"

#include <algorithm>

#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

// Both sides row-major: planes of rows, each row read or written through the last map.
struct Planes {
  int64_t planes = 1;
  int64_t rows = 1;    // of a padded plane
  int64_t inside = 1;  // elements of an unpadded plane
  int64_t width = 1;   // of a padded row
};

Planes planes_of(const Tensor& small, const Tensor& big, PadMaps maps) {
  const size_t rank = big.sizes().size();
  Planes p;
  bool fits = small.sizes().size() == rank && maps.size() <= rank && !maps.empty();
  for (size_t d = 0; fits && d < rank; ++d) {
    if (d + maps.size() < rank) {
      fits = small.sizes()[d] == big.sizes()[d];
      p.planes *= big.sizes()[d];
      continue;
    }
    const CountedVector<int64_t>& map = maps[d + maps.size() - rank];
    const int64_t size = small.sizes()[d];
    fits = static_cast<int64_t>(map.size()) == big.sizes()[d] &&
           std::ranges::all_of(map, [size](int64_t at) { return at >= 0 && at < size; });
    p.inside *= size;
    (d + 1 < rank ? p.rows : p.width) *= big.sizes()[d];
  }
  if (!fits) fail_internal("pad_by_maps: ", to_string(small.sizes()), " to ", to_string(big.sizes()));
  return p;
}

// Where a padded plane's row begins in the unpadded plane.
int64_t row_start(int64_t row, PadMaps maps, const Tensor& small) {
  int64_t start = 0;
  int64_t step = small.sizes().back();
  size_t d = small.sizes().size() - 1;
  for (size_t m = maps.size() - 1; m-- > 0;) {
    const auto size = static_cast<int64_t>(maps[m].size());
    start += maps[m][static_cast<size_t>(row % size)] * step;
    row /= size;
    step *= small.sizes()[--d];
  }
  return start;
}

}  // namespace

void pad_by_maps(const Tensor& x, PadMaps maps, const Tensor& out) {
  const Planes p = planes_of(x, out, maps);
  if (out.numel() == 0) return;
  const Tensor plain = contiguous(x);
  const Tensor result = out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype());
  const CountedVector<int64_t>& columns = maps.back();
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    const T* from = plain.data<T>();
    T* to = result.mutable_data<T>();
    const int64_t grain = std::max<int64_t>(1, kLightGrain / p.width);
    parallel_for(p.planes * p.rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* source = from + r / p.rows * p.inside + row_start(r % p.rows, maps, x);
        T* row = to + r * p.width;
        in_pieces(p.width, [&](int64_t first, int64_t last) {
          for (int64_t c = first; c < last; ++c) row[c] = source[columns[static_cast<size_t>(c)]];
        });
      }
    });
  });
  if (!result.is_same(out)) copy(result, out);
}

void pad_by_maps_backward(const Tensor& grad, PadMaps maps, const Tensor& grad_x) {
  const Planes p = planes_of(grad_x, grad, maps);
  const Tensor result = grad_x.is_contiguous() ? grad_x : Tensor::empty(grad_x.sizes(), grad_x.dtype());
  fill(result, 0);
  if (grad.numel() > 0) {
    const Tensor plain = contiguous(grad);
    const CountedVector<int64_t>& columns = maps.back();
    dispatch_floating("pad_by_maps_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
      const T* from = plain.data<T>();
      T* to = result.mutable_data<T>();
      // A plane's rows meet in the same places, so one task adds them all up, in order.
      const int64_t grain = std::max<int64_t>(1, kLightGrain / (p.rows * p.width));
      parallel_for(p.planes, grain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin * p.rows; r < end * p.rows; ++r) {
          T* target = to + r / p.rows * p.inside + row_start(r % p.rows, maps, grad_x);
          const T* row = from + r * p.width;
          count_work(p.width);
          in_pieces(p.width, [&](int64_t first, int64_t last) {
            for (int64_t c = first; c < last; ++c) target[columns[static_cast<size_t>(c)]] += row[c];
          });
        }
      });
    });
  }
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

}  // namespace tapewire::kernels
