#include "core/kernels/adaptive_pool.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

// The elements [begin, end) that one output sees along one dimension.
struct Window {
  int64_t begin;
  int64_t end;
};

// Spatial dimensions filled up to three (leading ones are 1 long).
struct AdaptiveShape {
  int64_t planes = 1;
  std::array<int64_t, 3> in{1, 1, 1};
  std::array<int64_t, 3> out{1, 1, 1};
  std::array<CountedVector<Window>, 3> windows;

  int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  int64_t out_plane() const { return out[0] * out[1] * out[2]; }
};

// REQUIRES: neither has zero elements.
AdaptiveShape shape_of(const Tensor& x, size_t rank, const Tensor& out) {
  const auto wrong = [&] { fail_internal("adaptive pooling: ", to_string(x.sizes()), " to ", to_string(out.sizes())); };
  if (rank < 1 || rank > 3 || x.sizes().size() < rank || x.dim() != out.dim()) wrong();
  AdaptiveShape s;
  const size_t lead = x.sizes().size() - rank;
  for (size_t d = 0; d < lead; ++d) {
    if (x.sizes()[d] != out.sizes()[d]) wrong();
    s.planes *= x.sizes()[d];
  }
  for (size_t i = 0; i < rank; ++i) {
    s.in[3 - rank + i] = x.sizes()[lead + i];
    s.out[3 - rank + i] = out.sizes()[lead + i];
  }
  for (size_t d = 0; d < 3; ++d) {
    s.windows[d].reserve(static_cast<size_t>(s.out[d]));
    for (int64_t i = 0; i < s.out[d]; ++i) {
      count_work(4);
      // i * in / out without the product, which could overflow.
      const int64_t whole = s.in[d] / s.out[d];
      const int64_t rest = s.in[d] % s.out[d];
      const int64_t begin = i * whole + i * rest / s.out[d];
      const int64_t end = (i + 1) * whole + ((i + 1) * rest + s.out[d] - 1) / s.out[d];
      s.windows[d].push_back({begin, end});
    }
  }
  return s;
}

// Calls f(output, three windows) for the outputs of a plane in row-major order.
template <class F>
void for_each_output(const AdaptiveShape& s, const F& f) {
  int64_t at = 0;
  for (const Window& depth : s.windows[0]) {
    for (const Window& height : s.windows[1]) {
      for (const Window& width : s.windows[2]) f(at++, depth, height, width);
    }
  }
}

// Calls f(offset of the first, count) for each row of a window.
template <class F>
void for_each_row(const AdaptiveShape& s, const Window& depth, const Window& height, const Window& width, const F& f) {
  for (int64_t d = depth.begin; d < depth.end; ++d) {
    for (int64_t h = height.begin; h < height.end; ++h) {
      count_work(width.end - width.begin);
      f((d * s.in[1] + h) * s.in[2] + width.begin, width.end - width.begin);
    }
  }
}

// The sum of n neighbours; long ones in eight lanes, always in the same order.
template <class T>
T row_sum(const T* x, int64_t n) {
  T lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t l = 0; l < 8; ++l) lanes[l] += x[i + l];
  }
  for (; i < n; ++i) lanes[0] += x[i];
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

int64_t count_of(const Window& depth, const Window& height, const Window& width) {
  return (depth.end - depth.begin) * (height.end - height.begin) * (width.end - width.begin);
}

int64_t plane_grain(const AdaptiveShape& s) {
  return std::max<int64_t>(1, kHeavyGrain / std::max<int64_t>(1, s.in_plane() + s.out_plane()));
}

Tensor plain_output(const Tensor& out) { return out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype()); }

}  // namespace

void adaptive_avg_pool(const Tensor& x, size_t rank, const Tensor& out) {
  if (out.numel() == 0) return;
  if (x.numel() == 0) fail_internal("adaptive pooling of nothing");
  const AdaptiveShape s = shape_of(x, rank, out);
  const Tensor result = plain_output(out);
  dispatch_floating("adaptive_avg_pool", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(x);
    const T* from = plain.data<T>();
    parallel_for(s.planes, plane_grain(s), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const T* plane = from + p * s.in_plane();
        T* pooled = to + p * s.out_plane();
        for_each_output(s, [&](int64_t at, const Window& depth, const Window& height, const Window& width) {
          T sum{0};
          for_each_row(s, depth, height, width,
                       [&](int64_t first, int64_t count) { sum += row_sum(plane + first, count); });
          pooled[at] = sum / static_cast<T>(count_of(depth, height, width));
        });
      }
    });
  });
  if (!result.is_same(out)) copy(result, out);
}

void adaptive_avg_pool_backward(const Tensor& grad, size_t rank, const Tensor& grad_x) {
  if (grad_x.numel() == 0) return;
  const Tensor result = plain_output(grad_x);
  fill(result, 0);
  if (grad.numel() > 0) {
    const AdaptiveShape s = shape_of(grad_x, rank, grad);
    dispatch_floating("adaptive_avg_pool_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
      T* to = result.mutable_data<T>();
      const Tensor plain = contiguous(grad);
      const T* from = plain.data<T>();
      parallel_for(s.planes, plane_grain(s), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
          T* plane = to + p * s.in_plane();
          const T* pooled = from + p * s.out_plane();
          for_each_output(s, [&](int64_t at, const Window& depth, const Window& height, const Window& width) {
            const T share = pooled[at] / static_cast<T>(count_of(depth, height, width));
            for_each_row(s, depth, height, width, [&](int64_t first, int64_t count) {
              for (int64_t i = 0; i < count; ++i) plane[first + i] += share;
            });
          });
        }
      });
    });
  }
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

void adaptive_max_pool(const Tensor& x, size_t rank, const Tensor& out, const Tensor& indices) {
  if (out.numel() == 0) return;
  if (x.numel() == 0) fail_internal("adaptive pooling of nothing");
  const AdaptiveShape s = shape_of(x, rank, out);
  const Tensor values = plain_output(out);
  const Tensor wheres = plain_output(indices);
  dispatch_numeric("adaptive_max_pool", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = values.mutable_data<T>();
    int64_t* index = wheres.mutable_data<int64_t>();
    const Tensor plain = contiguous(x);
    const T* from = plain.data<T>();
    parallel_for(s.planes, plane_grain(s), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const T* plane = from + p * s.in_plane();
        for_each_output(s, [&](int64_t at, const Window& depth, const Window& height, const Window& width) {
          int64_t best = (depth.begin * s.in[1] + height.begin) * s.in[2] + width.begin;
          for_each_row(s, depth, height, width, [&](int64_t first, int64_t count) {
            for (int64_t i = first; i < first + count; ++i) {
              if (plane[i] > plane[best] || plane[i] != plane[i]) best = i;
            }
          });
          to[p * s.out_plane() + at] = plane[best];
          index[p * s.out_plane() + at] = best;
        });
      }
    });
  });
  if (!values.is_same(out)) copy(values, out);
  if (!wheres.is_same(indices)) copy(wheres, indices);
}

}  // namespace tapewire::kernels
