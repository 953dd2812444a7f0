#include "core/kernels/softmax.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

// A row-major tensor seen as [outer, length, inner], the middle one being the softmax dimension.
struct Extents {
  int64_t outer = 1;
  int64_t length = 1;
  int64_t inner = 1;
};

Extents extents_of(const Tensor& x, int64_t dim) {
  Extents e;
  for (int64_t d = 0; d < x.dim(); ++d) {
    (d < dim ? e.outer : d == dim ? e.length : e.inner) *= x.sizes()[static_cast<size_t>(d)];
  }
  return e;
}

constexpr int64_t kWidth = 64;   // columns handled together
constexpr int64_t kBlock = 512;  // elements of short rows handled together

template <class T>
T max_of(const T* x, int64_t n) {
  using simd::kLanes;
  T best = x[0];
  int64_t i = 0;
  if (n >= kLanes<T>) {
    simd::Vec<T> lanes = simd::load(x);
    for (i = kLanes<T>; i + kLanes<T> <= n; i += kLanes<T>) lanes = simd::max(simd::load(x + i), lanes);
    for (int64_t l = 0; l < kLanes<T>; ++l) best = lanes[l] > best || lanes[l] != lanes[l] ? lanes[l] : best;
  }
  for (; i < n; ++i) best = x[i] > best || x[i] != x[i] ? x[i] : best;
  return best;
}

template <class T, class F>
T sum_of(int64_t n, const F& term) {
  T lanes[16] = {};
  in_pieces(n, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) {
      for (int64_t l = 0; l < 16; ++l) lanes[l] += term(i + l);
    }
    for (; i < end; ++i) lanes[i % 16] += term(i);
  });
  for (int64_t half = 8; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

template <class T>
void exp_run(int64_t n, T* to, const T* from) {
  simd::map<T>(n, to, from, [](simd::Vec<T> v) { return simd::exp(v); });
}

// Rows whose elements are neighbours. The exponentials of several short rows are taken at once.
template <class T, bool kLog>
void forward_rows(const T* x, T* y, int64_t rows, int64_t n) {
  if (n > kBlock) {
    CountedVector<T> terms(kLog ? static_cast<size_t>(n) : 0);
    for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
      const T most = max_of(x, n);
      T* e = kLog ? terms.data() : y;
      in_pieces(n, [&](int64_t begin, int64_t end) {
        simd::map<T>(end - begin, e + begin, x + begin,
                     [most](simd::Vec<T> v) { return simd::exp(v - simd::splat(most)); });
      });
      const T sum = sum_of<T>(n, [e](int64_t i) { return e[i]; });
      const T shift = std::log(sum);
      in_pieces(n, [&](int64_t begin, int64_t end) {
        TW_INDEPENDENT
        for (int64_t i = begin; i < end; ++i) y[i] = kLog ? x[i] - most - shift : e[i] / sum;
      });
    }
    return;
  }
  T shifted[kBlock];
  T terms[kBlock];
  const int64_t together = std::max<int64_t>(1, kBlock / n);
  for (int64_t r = 0; r < rows; r += together) {
    const int64_t count = std::min(together, rows - r);
    for (int64_t k = 0; k < count; ++k) {
      const T most = max_of(x + k * n, n);
      for (int64_t i = 0; i < n; ++i) shifted[k * n + i] = x[k * n + i] - most;
    }
    exp_run(count * n, terms, shifted);
    for (int64_t k = 0; k < count; ++k) {
      const T* e = terms + k * n;
      const T sum = sum_of<T>(n, [e](int64_t i) { return e[i]; });
      const T shift = std::log(sum);
      for (int64_t i = 0; i < n; ++i) y[k * n + i] = kLog ? shifted[k * n + i] - shift : e[i] / sum;
    }
    x += count * n;
    y += count * n;
  }
}

// `width` neighbouring columns of one [length, inner] plane.
template <class T, bool kLog>
void forward_columns(const T* x, T* y, int64_t n, int64_t inner, int64_t width) {
  T most[kWidth];
  T sum[kWidth] = {};
  T terms[kWidth];
  std::copy_n(x, width, most);
  for (int64_t r = 1; r < n; ++r) {
    count_work(width);
    const T* row = x + r * inner;
    for (int64_t c = 0; c < width; ++c) most[c] = ((row[c] > most[c]) | (row[c] != row[c])) ? row[c] : most[c];
  }
  for (int64_t r = 0; r < n; ++r) {
    count_work(width);
    T* e = kLog ? terms : y + r * inner;
    const T* row = x + r * inner;
    simd::map<T>(width, e, row, most, [](simd::Vec<T> v, simd::Vec<T> m) { return simd::exp(v - m); });
    for (int64_t c = 0; c < width; ++c) sum[c] += e[c];
  }
  if constexpr (kLog) {
    simd::map<T>(width, sum, sum, [](simd::Vec<T> v) { return simd::log(v); });
  }
  for (int64_t r = 0; r < n; ++r) {
    count_work(width);
    const T* row = x + r * inner;
    T* out = y + r * inner;
    TW_INDEPENDENT
    for (int64_t c = 0; c < width; ++c) out[c] = kLog ? row[c] - most[c] - sum[c] : out[c] / sum[c];
  }
}

template <class T, bool kLog>
void backward_rows(const T* grad, const T* y, T* out, int64_t rows, int64_t n) {
  if constexpr (kLog) {
    // The exponentials of several short rows are taken at once.
    const int64_t together = std::max<int64_t>(1, kBlock / n);
    CountedVector<T> terms(static_cast<size_t>(std::min(rows, together) * n));
    for (int64_t r = 0; r < rows; r += together) {
      const int64_t count = std::min(together, rows - r);
      in_pieces(count * n,
                [&](int64_t begin, int64_t end) { exp_run(end - begin, terms.data() + begin, y + r * n + begin); });
      for (int64_t k = 0; k < count; ++k) {
        const T* g = grad + (r + k) * n;
        const T* e = terms.data() + k * n;
        T* to = out + (r + k) * n;
        const T sum = sum_of<T>(n, [g](int64_t i) { return g[i]; });
        in_pieces(n, [&](int64_t begin, int64_t end) {
          TW_INDEPENDENT
          for (int64_t i = begin; i < end; ++i) to[i] = g[i] - e[i] * sum;
        });
      }
    }
  } else {
    for (int64_t r = 0; r < rows; ++r, grad += n, y += n, out += n) {
      const T sum = sum_of<T>(n, [grad, y](int64_t i) { return grad[i] * y[i]; });
      in_pieces(n, [&](int64_t begin, int64_t end) {
        TW_INDEPENDENT
        for (int64_t i = begin; i < end; ++i) out[i] = y[i] * (grad[i] - sum);
      });
    }
  }
}

template <class T, bool kLog>
void backward_columns(const T* grad, const T* y, T* out, int64_t n, int64_t inner, int64_t width) {
  T sum[kWidth] = {};
  for (int64_t r = 0; r < n; ++r) {
    count_work(width);
    const T* g = grad + r * inner;
    const T* v = y + r * inner;
    for (int64_t c = 0; c < width; ++c) sum[c] += kLog ? g[c] : g[c] * v[c];
  }
  T terms[kWidth];
  for (int64_t r = 0; r < n; ++r) {
    count_work(width);
    const T* g = grad + r * inner;
    const T* v = y + r * inner;
    T* to = out + r * inner;
    if constexpr (kLog) exp_run(width, terms, v);
    TW_INDEPENDENT
    for (int64_t c = 0; c < width; ++c) to[c] = kLog ? g[c] - terms[c] * sum[c] : v[c] * (g[c] - sum[c]);
  }
}

// Calls rows(first element, rows) or columns(first element, width) over the whole tensor.
template <class Rows, class Columns>
void for_each_line(const Extents& e, const Rows& rows, const Columns& columns) {
  if (e.outer * e.length * e.inner == 0) return;
  if (e.inner == 1) {
    parallel_for(e.outer, std::max<int64_t>(1, kHeavyGrain / e.length),
                 [&](int64_t begin, int64_t end) { rows(begin * e.length, end - begin); });
    return;
  }
  const int64_t blocks = (e.inner + kWidth - 1) / kWidth;
  const int64_t work = e.length * std::min(e.inner, kWidth);
  parallel_for(e.outer * blocks, std::max<int64_t>(1, kHeavyGrain / work), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t column = item % blocks * kWidth;
      columns(item / blocks * e.length * e.inner + column, std::min(kWidth, e.inner - column));
    }
  });
}

// Row-major room for the result: `out` itself, or what is then copied to it.
Tensor plain_output(const Tensor& out) { return out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype()); }

template <bool kLog>
void forward(const char* op, const Tensor& x, int64_t dim, const Tensor& out) {
  const Tensor result = plain_output(out);
  const Extents e = extents_of(x, dim);
  dispatch_floating(op, x.dtype(), [&]<class T>(TypeTag<T>) {
    T* y = result.mutable_data<T>();
    const Tensor plain = contiguous(x);
    const T* from = plain.data<T>();
    for_each_line(
        e, [&](int64_t at, int64_t rows) { forward_rows<T, kLog>(from + at, y + at, rows, e.length); },
        [&](int64_t at, int64_t width) { forward_columns<T, kLog>(from + at, y + at, e.length, e.inner, width); });
  });
  if (!result.is_same(out)) copy(result, out);
}

template <bool kLog>
void backward(const char* op, const Tensor& grad, const Tensor& y, int64_t dim, const Tensor& out) {
  const Tensor result = plain_output(out);
  const Extents e = extents_of(y, dim);
  dispatch_floating(op, y.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain_grad = contiguous(grad);
    const Tensor plain_y = contiguous(y);
    const T* g = plain_grad.data<T>();
    const T* v = plain_y.data<T>();
    for_each_line(
        e, [&](int64_t at, int64_t rows) { backward_rows<T, kLog>(g + at, v + at, to + at, rows, e.length); },
        [&](int64_t at, int64_t width) {
          backward_columns<T, kLog>(g + at, v + at, to + at, e.length, e.inner, width);
        });
  });
  if (!result.is_same(out)) copy(result, out);
}

}  // namespace

void softmax(const Tensor& x, int64_t dim, const Tensor& out) { forward<false>("softmax", x, dim, out); }
void log_softmax(const Tensor& x, int64_t dim, const Tensor& out) { forward<true>("log_softmax", x, dim, out); }

void softmax_backward(const Tensor& grad, const Tensor& y, int64_t dim, const Tensor& out) {
  backward<false>("softmax_backward", grad, y, dim, out);
}
void log_softmax_backward(const Tensor& grad, const Tensor& y, int64_t dim, const Tensor& out) {
  backward<true>("log_softmax_backward", grad, y, dim, out);
}

}  // namespace tapewire::kernels
