#include <limits>

#include "core/base/cancel.h"
#include "core/kernels/copy.h"
#include "core/kernels/reduce.h"
#include "core/kernels/reduce_impl.h"
#include "core/kernels/simd_impl.h"

namespace tapewire::kernels {
namespace {

// Whether x takes the place of best: it is further out, or the first NaN.
template <class T, bool kLargest>
bool beats(T x, T best) {
  const bool further = kLargest ? x > best : x < best;
  return further | ((x != x) & (best == best));
}

template <class T, bool kLargest>
struct Extreme {
  using Value = T;
  using Acc = T;

  T init() const {
    if constexpr (std::is_floating_point_v<T>) {
      return kLargest ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    } else {
      return kLargest ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
    }
  }

  void run(const T* x, int64_t n, T& acc) const {
    if constexpr (std::is_floating_point_v<T>) {
      using simd::kLanes;
      const auto take = [](simd::Vec<T> a, simd::Vec<T> best) {
        return kLargest ? simd::max(a, best) : simd::min(a, best);
      };
      simd::Vec<T> best[2] = {simd::splat(acc), simd::splat(acc)};
      int64_t i = 0;
      for (; i + 2 * kLanes<T> <= n; i += 2 * kLanes<T>) {
        best[0] = take(simd::load(x + i), best[0]);
        best[1] = take(simd::load(x + i + kLanes<T>), best[1]);
      }
      for (int64_t lane = 0; lane < kLanes<T>; ++lane) {
        merge(acc, best[0][lane]);
        merge(acc, best[1][lane]);
      }
      for (; i < n; ++i) merge(acc, x[i]);
    } else {
      T best = acc;
      for (int64_t i = 0; i < n; ++i) best = (kLargest ? x[i] > best : x[i] < best) ? x[i] : best;
      acc = best;
    }
  }

  void row(const T* x, int64_t n, T* acc, int64_t) const {
    for (int64_t i = 0; i < n; ++i) acc[i] = beats<T, kLargest>(x[i], acc[i]) ? x[i] : acc[i];
  }

  void merge(T& acc, const T& next) const {
    if (beats<T, kLargest>(next, acc)) acc = next;
  }
};

template <bool kLargest>
void extreme(const Tensor& x, Ints dims, const Tensor& out) {
  const ReducePlan plan = plan_reduction(x, dims, out);
  if (plan.length == 0 && plan.outputs > 0) {
    fail(kLargest ? "amax" : "amin", "(): Expected reduction dim to have non-zero size, got input ",
         to_string(x.sizes()));
  }
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_same_v<T, bool>) {
      kLargest ? any(x, dims, out) : all(x, dims, out);
    } else {
      T* to = out.mutable_data<T>();
      fold(plan, x.data<T>(), Extreme<T, kLargest>{}, [to](int64_t offset, T value) { to[offset] = value; });
    }
  });
}

// The walk over all dimensions of x but one, with the results beside it.
struct Lines {
  LoopNest nest;  // operands: x, values, indices
  int64_t count = 0;
  int64_t length = 0;
  int64_t stride = 0;
};

Lines lines_along(const Tensor& x, int64_t dim, const Tensor* values, const Tensor& indices) {
  Lines lines;
  const size_t rank = static_cast<size_t>(x.dim());
  lines.length = rank == 0 ? 1 : x.sizes()[static_cast<size_t>(dim)];
  lines.stride = rank == 0 ? 1 : x.strides()[static_cast<size_t>(dim)];
  const auto others = [&](const Shape& all, bool keeps_dim) {
    Shape some;
    for (size_t d = 0; d < all.size(); ++d) {
      if (!keeps_dim || d != static_cast<size_t>(dim)) some.push_back(all[d]);
    }
    return some;
  };
  const Shape sizes = others(x.sizes(), true);
  lines.count = numel_of(sizes);
  const Tensor& first = values != nullptr ? *values : indices;
  if (lines.count != indices.numel() || lines.count != first.numel()) {
    fail_internal("the extremes of ", to_string(x.sizes()), " along dimension ", dim, " do not fill ",
                  to_string(indices.sizes()));
  }
  const Shape strides[] = {others(x.strides(), true), others(first.strides(), first.dim() == x.dim()),
                           others(indices.strides(), indices.dim() == x.dim())};
  lines.nest = make_nest(sizes, strides, /*reorder=*/true);
  return lines;
}

template <class T, bool kLargest>
void find_run(const T* x, int64_t stride, int64_t n, T& best, int64_t& where) {
  // The extreme first, then the first place that has it: both vectorise.
  constexpr int64_t kBlock = 1024;
  best = x[0];
  where = 0;
  T scratch[kBlock];
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    count_work(count);
    const T* block = x + begin;
    if (stride != 1) {
      gather_strided(x + begin * stride, stride, sizeof(T), count, scratch);
      block = scratch;
    }
    T extreme_here = block[0];
    if constexpr (std::is_same_v<T, bool>) {
      for (int64_t i = 1; i < count; ++i) extreme_here = kLargest ? extreme_here | block[i] : extreme_here & block[i];
    } else {
      Extreme<T, kLargest>{}.run(block, count, extreme_here);
    }
    if (!beats<T, kLargest>(extreme_here, best) && begin > 0) continue;
    best = extreme_here;
    int64_t i = 0;
    while (!(block[i] == best || (best != best && block[i] != block[i]))) ++i;
    where = begin + i;
    if (best != best) return;
  }
}

template <class T, bool kLargest>
void find_columns(const T* x, int64_t stride, int64_t n, int64_t columns, T* best, int64_t* where) {
  std::copy_n(x, columns, best);
  std::fill_n(where, columns, int64_t{0});
  for (int64_t r = 1; r < n; ++r) {
    count_work(columns);
    const T* row = x + r * stride;
    for (int64_t c = 0; c < columns; ++c) {
      const bool take = beats<T, kLargest>(row[c], best[c]);
      best[c] = take ? row[c] : best[c];
      where[c] = take ? r : where[c];
    }
  }
}

template <bool kLargest>
void extreme_with_index(const Tensor& x, int64_t dim, const Tensor* values, const Tensor& indices, const char* op) {
  const Lines lines = lines_along(x, dim, values, indices);
  if (lines.count == 0) return;
  if (lines.length == 0) {
    fail(op, "(): Expected reduction dim ", dim, " to have non-zero size, got input ", to_string(x.sizes()));
  }
  int64_t* index_data = indices.mutable_data<int64_t>();
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    T* value_data = values != nullptr ? values->mutable_data<T>() : nullptr;
    const T* data = x.data<T>();
    const int64_t width = lines.nest.sizes.back();
    const bool columns = width >= 8 && lines.nest.strides[0].back() == 1 && lines.stride != 1;
    const int64_t span = columns ? kColumns : 1;
    const int64_t blocks = columns ? (width + span - 1) / span : 1;
    const int64_t items = columns ? lines.count / width * blocks : lines.count;
    const int64_t work = std::max<int64_t>(1, lines.length * span);
    parallel_for(items, std::max<int64_t>(1, kLightGrain / work), [&](int64_t begin, int64_t end) {
      T best[kColumns];
      int64_t where[kColumns];
      for (int64_t item = begin; item < end; ++item) {
        const int64_t column = columns ? item % blocks * span : 0;
        const int64_t line = columns ? item / blocks * width + column : item;
        const int64_t count = columns ? std::min(span, width - column) : 1;
        const T* from = data + nest_offset(lines.nest, 0, lines.nest.dims(), line);
        if (columns) {
          find_columns<T, kLargest>(from, lines.stride, lines.length, count, best, where);
        } else {
          find_run<T, kLargest>(from, lines.stride, lines.length, best[0], where[0]);
        }
        for (int64_t c = 0; c < count; ++c) {
          if (value_data != nullptr) value_data[nest_offset(lines.nest, 1, lines.nest.dims(), line + c)] = best[c];
          index_data[nest_offset(lines.nest, 2, lines.nest.dims(), line + c)] = where[c];
        }
      }
    });
  });
}

template <bool kLargest>
void arg_extreme(const Tensor& x, std::optional<int64_t> dim, const Tensor& out) {
  const char* op = kLargest ? "argmax" : "argmin";
  if (dim) return extreme_with_index<kLargest>(x, *dim, nullptr, out, op);
  if (x.numel() == 0) {
    fail(op,
         "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
         "'dim' argument.");
  }
  const Tensor plain = contiguous(x);
  const Tensor flat = plain.alias({Shape{plain.numel()}, Shape{1}, plain.offset()});
  extreme_with_index<kLargest>(flat, 0, nullptr, out.alias({Shape{}, Shape{}, out.offset()}), op);
}

}  // namespace

void amax(const Tensor& x, Ints dims, const Tensor& out) { extreme<true>(x, dims, out); }
void amin(const Tensor& x, Ints dims, const Tensor& out) { extreme<false>(x, dims, out); }

void max_with_indices(const Tensor& x, int64_t dim, const Tensor& out, const Tensor& indices) {
  extreme_with_index<true>(x, dim, &out, indices, "max");
}
void min_with_indices(const Tensor& x, int64_t dim, const Tensor& out, const Tensor& indices) {
  extreme_with_index<false>(x, dim, &out, indices, "min");
}
void argmax(const Tensor& x, std::optional<int64_t> dim, const Tensor& out) { arg_extreme<true>(x, dim, out); }
void argmin(const Tensor& x, std::optional<int64_t> dim, const Tensor& out) { arg_extreme<false>(x, dim, out); }

}  // namespace tapewire::kernels
