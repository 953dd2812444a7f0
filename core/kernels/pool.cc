#include "core/kernels/pool.h"

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>
#include <vector>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

// A pooling with its spatial dimensions filled up to three (leading ones are 1 long).
struct PoolShape {
  int64_t planes = 1;
  std::array<int64_t, 3> in{1, 1, 1};
  std::array<int64_t, 3> out{1, 1, 1};
  std::array<int64_t, 3> kernel{1, 1, 1};
  std::array<int64_t, 3> stride{1, 1, 1};
  std::array<int64_t, 3> padding{0, 0, 0};
  std::array<int64_t, 3> dilation{1, 1, 1};

  // Of each element of a window's row: how far into a row of x it lies for output 0, and the outputs [first, last) of a
  // row for which it lies inside.
  struct Tap {
    int64_t shift;
    int64_t first;
    int64_t last;
  };
  absl::InlinedVector<Tap, 8> taps;  // of those that lie inside for some output
  bool all_taps = true;              // and those are all
  int64_t tap_work = 0;              // additions of one row of x to one of outputs: the sum over the taps

  // How many additions or comparisons a plane takes, at most.
  int64_t work() const {
    return out_plane() * std::min(kernel[0], in[0]) * std::min(kernel[1], in[1]) * static_cast<int64_t>(taps.size());
  }
  int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  int64_t out_plane() const { return out[0] * out[1] * out[2]; }
  // Of a window, as far as they can lie in the image.
  int64_t kernel_elements() const {
    return std::min(kernel[0], in[0]) * std::min(kernel[1], in[1]) * std::min(kernel[2], in[2]);
  }
};

PoolShape shape_of(const Tensor& x, const PoolParams& params, const Tensor& out) {
  const size_t rank = params.kernel.size();
  const bool dilated = !params.dilation.empty();
  const auto wrong = [&] {
    fail_internal("pooling kernel: x ", to_string(x.sizes()), ", out ", to_string(out.sizes()), ", kernel ",
                  to_string(params.kernel), ", stride ", to_string(params.stride), ", padding ",
                  to_string(params.padding), ", dilation ", to_string(params.dilation));
  };
  if (rank < 1 || rank > 3 || x.sizes().size() < rank || x.dim() != out.dim() || params.stride.size() != rank ||
      params.padding.size() != rank || (dilated && params.dilation.size() != rank)) {
    wrong();
  }
  PoolShape s;
  const size_t lead = x.sizes().size() - rank;
  for (size_t d = 0; d < lead; ++d) {
    if (x.sizes()[d] != out.sizes()[d]) wrong();
    s.planes *= x.sizes()[d];
  }
  for (size_t i = 0; i < rank; ++i) {
    const size_t d = 3 - rank + i;
    s.in[d] = x.sizes()[lead + i];
    s.out[d] = out.sizes()[lead + i];
    s.kernel[d] = params.kernel[i];
    s.stride[d] = params.stride[i];
    s.padding[d] = params.padding[i];
    s.dilation[d] = dilated ? params.dilation[i] : 1;
    if (s.kernel[d] < 1 || s.stride[d] < 1 || s.padding[d] < 0 || s.dilation[d] < 1) wrong();
  }
  if (x.numel() == 0 || out.numel() == 0) return s;  // nothing bounds how long the empty one's rows are
  for (int64_t k = 0; k < s.kernel[2]; ++k) {
    count_work(8);
    const int64_t stride = s.stride[2];
    const int64_t shift = k * s.dilation[2] - s.padding[2];
    const int64_t limit = s.in[2] - shift;
    const int64_t first = std::clamp<int64_t>((-shift + stride - 1) / stride, 0, s.out[2]);
    const int64_t last = limit <= 0 ? 0 : std::min(s.out[2], (limit + stride - 1) / stride);
    if (first < last) {
      s.taps.push_back({shift, first, last});
      s.tap_work += last - first;
      continue;
    }
    s.all_taps = false;
    if (first == 0) break;  // behind the image, as all that follow
    // A window may be far longer than the image: on to the next tap that does not lie before it for the output before
    // `first`.
    const int64_t before = s.padding[2] - (first - 1) * stride;
    k = std::max(k, (before + s.dilation[2] - 1) / s.dilation[2] - 1);
  }
  return s;
}

// The part of a window that lies inside the image along one dimension: begin, begin + step, ... < end.
struct Reach {
  int64_t begin;
  int64_t end;
};

Reach reach(const PoolShape& s, size_t d, int64_t at) {
  int64_t begin = at * s.stride[d] - s.padding[d];
  const int64_t end = std::min(begin + (s.kernel[d] - 1) * s.dilation[d] + 1, s.in[d]);
  if (begin < 0) begin += (-begin + s.dilation[d] - 1) / s.dilation[d] * s.dilation[d];
  return {begin, end};
}

// Calls f(offset of a row of x, tap) for each element of the windows of one row of outputs, in row-major order.
template <class F>
void for_each_tap(const PoolShape& s, int64_t od, int64_t oh, const F& f) {
  const Reach depth = reach(s, 0, od);
  const Reach height = reach(s, 1, oh);
  const bool long_rows = s.tap_work > kPieceElements;
  for (int64_t d = depth.begin; d < depth.end; d += s.dilation[0]) {
    for (int64_t h = height.begin; h < height.end; h += s.dilation[1]) {
      if (!long_rows) count_work(s.tap_work);
      for (const PoolShape::Tap& tap : s.taps) {
        if (long_rows) count_work(tap.last - tap.first);
        f((d * s.in[1] + h) * s.in[2], tap);
      }
    }
  }
}

// Calls f with the stride between windows, as a constant where it is 1 or 2: those loops vectorise.
template <class F>
void with_stride(int64_t stride, const F& f) {
  if (stride == 1) return f(std::integral_constant<int64_t, 1>{});
  if (stride == 2) return f(std::integral_constant<int64_t, 2>{});
  f(stride);
}

// Windows of more elements are counted row by row, others with the row of outputs that they belong to.
constexpr int64_t kLongWindow = 4096;

template <class T>
void max_window(const PoolShape& s, const T* x, int64_t od, int64_t oh, int64_t ow, T* out, int64_t* index) {
  const Reach depth = reach(s, 0, od);
  const Reach height = reach(s, 1, oh);
  const Reach width = reach(s, 2, ow);
  const bool long_windows = s.kernel_elements() > kLongWindow;
  T best = std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  int64_t where = (depth.begin * s.in[1] + height.begin) * s.in[2] + width.begin;
  for (int64_t d = depth.begin; d < depth.end; d += s.dilation[0]) {
    for (int64_t h = height.begin; h < height.end; h += s.dilation[1]) {
      const int64_t row = (d * s.in[1] + h) * s.in[2];
      if (long_windows) count_work(4 + (width.end - width.begin) / s.dilation[2]);
      for (int64_t w = width.begin; w < width.end; w += s.dilation[2]) {
        const T value = x[row + w];
        if (value > best || value != value) {
          best = value;
          where = row + w;
        }
      }
    }
  }
  *out = best;
  *index = where;
}

// Elements at, at + stride, ... for a stride of 1 or 2; nothing behind the last is read.
template <int64_t kStride, class T>
simd::Vec<T> load_spread(const T* at) {
  if constexpr (kStride == 1) {
    return simd::load(at);
  } else if constexpr (std::is_same_v<T, float>) {
    return __builtin_shufflevector(simd::load(at), simd::load(at + 7), 0, 2, 4, 6, 9, 11, 13, 15);
  } else {
    return __builtin_shufflevector(simd::load(at), simd::load(at + 3), 0, 2, 5, 7);
  }
}

// A vector of neighbouring windows, all inside the image along the row, from output `ow` on.
template <int64_t kStride, class T>
void max_windows(const PoolShape& s, const T* x, const Reach& depth, const Reach& height, int64_t ow, T* out,
                 int64_t* index) {
  using V = simd::Vec<T>;
  using I = typename simd::VecOf<T>::Bits;
  using Lane = std::remove_cvref_t<decltype(I{}[0])>;
  constexpr int64_t kLanes = simd::kLanes<T>;
  I steps;
  for (int64_t l = 0; l < kLanes; ++l) steps[l] = static_cast<Lane>(l * kStride);
  const int64_t column = ow * kStride - s.padding[2];
  const bool long_windows = s.kernel_elements() > kLongWindow;
  V best = simd::splat(-std::numeric_limits<T>::infinity());
  I where = steps + static_cast<Lane>((depth.begin * s.in[1] + height.begin) * s.in[2] + column);
  for (int64_t d = depth.begin; d < depth.end; d += s.dilation[0]) {
    for (int64_t h = height.begin; h < height.end; h += s.dilation[1]) {
      int64_t at = (d * s.in[1] + h) * s.in[2] + column;
      if (long_windows) count_work(s.kernel[2]);
      for (int64_t k = 0; k < s.kernel[2]; ++k, at += s.dilation[2]) {
        const V value = load_spread<kStride>(x + at);
        const I take = (value > best) | (value != value);
        best = take ? value : best;
        where = take ? steps + static_cast<Lane>(at) : where;
      }
    }
  }
  simd::store<T>(out, best);
  for (int64_t l = 0; l < kLanes; ++l) index[l] = where[l];
}

// The windows of one row that max_windows() takes, in vectors; true when it took the outputs [first, last).
template <int64_t kStride, class T>
bool max_interior(const PoolShape& s, const T* x, const Reach& depth, const Reach& height, int64_t first, int64_t last,
                  T* out, int64_t* index) {
  constexpr int64_t kLanes = simd::kLanes<T>;
  if (last - first < kLanes || depth.begin >= depth.end || height.begin >= height.end) return false;
  // The last vector may begin before the end of the one before it.
  for (int64_t ow = first; ow < last; ow += kLanes) {
    const int64_t at = std::min(ow, last - kLanes);
    max_windows<kStride>(s, x, depth, height, at, out + at, index + at);
  }
  return true;
}

template <class T>
void max_plane(const PoolShape& s, const T* x, T* out, int64_t* index) {
  // The outputs whose windows lie inside the image along the row.
  int64_t first = 0;
  int64_t last = s.all_taps ? s.out[2] : 0;
  for (const PoolShape::Tap& tap : s.taps) {
    first = std::max(first, tap.first);
    last = std::min(last, tap.last);
  }
  for (int64_t od = 0; od < s.out[0]; ++od) {
    for (int64_t oh = 0; oh < s.out[1]; ++oh, out += s.out[2], index += s.out[2]) {
      count_work(s.out[2] * std::min(s.kernel_elements(), kLongWindow));
      bool vectors = false;
      if constexpr (std::is_floating_point_v<T>) {
        if (s.in_plane() <= std::numeric_limits<int32_t>::max()) {
          const Reach depth = reach(s, 0, od);
          const Reach height = reach(s, 1, oh);
          if (s.stride[2] == 1) vectors = max_interior<1>(s, x, depth, height, first, last, out, index);
          if (s.stride[2] == 2) vectors = max_interior<2>(s, x, depth, height, first, last, out, index);
        }
      }
      for (int64_t ow = 0; ow < s.out[2]; ++ow) {
        if (vectors && ow == first) ow = last;
        if (ow < s.out[2]) max_window(s, x, od, oh, ow, out + ow, index + ow);
      }
    }
  }
}

// What the sums of one row of outputs are divided by.
template <class T>
void divisors(const PoolShape& s, int64_t od, int64_t oh, bool count_include_pad, std::optional<int64_t> divisor,
              T* counts) {
  const int64_t at[] = {od, oh};
  int64_t rows = 1;
  const auto extent = [&](size_t d, int64_t place) {
    if (!count_include_pad) {
      const Reach inside = reach(s, d, place);
      return inside.end - inside.begin;
    }
    const int64_t begin = place * s.stride[d] - s.padding[d];
    return std::min(begin + s.kernel[d], s.in[d] + s.padding[d]) - begin;
  };
  for (size_t d = 0; d < 2; ++d) rows *= extent(d, at[d]);
  for (int64_t i = 0; i < s.out[2]; ++i) counts[i] = static_cast<T>(divisor ? *divisor : rows * extent(2, i));
}

// -1 apart: the least integer has no negation, and the processor traps.
template <class T>
T quotient(T sum, T count) {
  if constexpr (std::is_integral_v<T>) return count == T(-1) ? subtract(T{0}, sum) : T(sum / count);
  return sum / count;
}

int64_t plane_grain(int64_t work) { return std::max<int64_t>(1, kHeavyGrain / std::max<int64_t>(1, work)); }

Tensor plain_output(const Tensor& out) { return out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype()); }

// Planes of a tensor [N, C, *] and of its indices: how many, and how long each.
struct Planes {
  int64_t count;
  int64_t pooled;
  int64_t full;
};

Planes planes_of(const Tensor& pooled, const Tensor& full) {
  if (pooled.dim() < 2 || full.dim() < 2) fail_internal("pooling kernel: planes of ", to_string(pooled.sizes()));
  // Leading dimensions agree; what is left is the plane.
  size_t lead = 0;
  int64_t count = 1;
  const size_t most = static_cast<size_t>(std::min<int64_t>(2, pooled.dim() - 1));
  while (lead < most && pooled.sizes()[lead] == full.sizes()[lead]) count *= pooled.sizes()[lead++];
  return {count, count == 0 ? 0 : pooled.numel() / count, count == 0 ? 0 : full.numel() / count};
}

void check_index(int64_t index, int64_t size) {
  if (index < 0 || index >= size) fail("max_pool: index ", index, " is out of bounds for a plane of ", size);
}

}  // namespace

void max_pool(const Tensor& x, const PoolParams& params, const Tensor& out, const Tensor& indices) {
  const PoolShape s = shape_of(x, params, out);
  if (indices.sizes() != out.sizes()) fail_internal("max_pool: indices differ in shape from the output");
  if (out.numel() == 0) return;
  const Tensor values = plain_output(out);
  const Tensor wheres = plain_output(indices);
  dispatch_numeric("max_pool", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = values.mutable_data<T>();
    int64_t* index = wheres.mutable_data<int64_t>();
    const Tensor plain = contiguous(x);
    const T* from = plain.data<T>();
    parallel_for(s.planes, plane_grain(s.work()), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        max_plane(s, from + p * s.in_plane(), to + p * s.out_plane(), index + p * s.out_plane());
      }
    });
  });
  if (!values.is_same(out)) copy(values, out);
  if (!wheres.is_same(indices)) copy(wheres, indices);
}

void max_pool_backward(const Tensor& grad, const Tensor& indices, const Tensor& grad_x) {
  const Planes planes = planes_of(grad, grad_x);
  if (grad_x.numel() == 0 && grad.numel() == 0) return;
  const Tensor result = plain_output(grad_x);
  dispatch_floating("max_pool_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain_grad = contiguous(grad);
    const Tensor plain_indices = contiguous(indices);
    const T* from = plain_grad.data<T>();
    const int64_t* index = plain_indices.data<int64_t>();
    parallel_for(planes.count, plane_grain(planes.full + planes.pooled), [&](int64_t begin, int64_t end) {
      in_pieces((end - begin) * planes.full, [zeros = to + begin * planes.full](int64_t first, int64_t last) {
        std::fill(zeros + first, zeros + last, T{0});
      });
      for (int64_t p = begin; p < end; ++p) {
        in_pieces(planes.pooled, [&](int64_t first, int64_t last) {
          for (int64_t i = p * planes.pooled + first; i < p * planes.pooled + last; ++i) {
            check_index(index[i], planes.full);
            to[p * planes.full + index[i]] += from[i];
          }
        });
      }
    });
  });
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

void gather_planes(const Tensor& x, const Tensor& indices, const Tensor& out) {
  if (out.numel() == 0) return;
  const Planes planes = planes_of(out, x);
  const Tensor result = plain_output(out);
  dispatch_floating("max_pool_double_backward", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(x);
    const Tensor plain_indices = contiguous(indices);
    const T* from = plain.data<T>();
    const int64_t* index = plain_indices.data<int64_t>();
    parallel_for(planes.count, plane_grain(planes.pooled), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        in_pieces(planes.pooled, [&](int64_t first, int64_t last) {
          for (int64_t i = p * planes.pooled + first; i < p * planes.pooled + last; ++i) {
            check_index(index[i], planes.full);
            to[i] = from[p * planes.full + index[i]];
          }
        });
      }
    });
  });
  if (!result.is_same(out)) copy(result, out);
}

namespace {

// The windows' means, summed up as Sum.
template <class Sum, class T>
void avg_pool_sums(const PoolShape& s, const T* data, bool count_include_pad, std::optional<int64_t> divisor, T* to) {
  parallel_for(s.planes, plane_grain(s.work()), [&](int64_t begin, int64_t end) {
    CountedVector<Sum> counts(static_cast<size_t>(s.out[2]));
    CountedVector<Sum> sums(static_cast<size_t>(s.out[2]));
    for (int64_t p = begin; p < end; ++p) {
      const T* from = data + p * s.in_plane();
      T* row = to + p * s.out_plane();
      for (int64_t r = 0; r < s.out[0] * s.out[1]; ++r, row += s.out[2]) {
        const int64_t od = r / s.out[1];
        const int64_t oh = r % s.out[1];
        std::ranges::fill(sums, Sum{0});
        for_each_tap(s, od, oh, [&](int64_t at, const PoolShape::Tap& tap) {
          with_stride(s.stride[2], [&](auto stride) {
            const T* source = from + at + tap.shift + tap.first * stride;
            Sum* sum = sums.data() + tap.first;
            const int64_t count = tap.last - tap.first;
            TW_INDEPENDENT
            for (int64_t i = 0; i < count; ++i) sum[i] = add(sum[i], static_cast<Sum>(source[i * stride]));
          });
        });
        divisors(s, od, oh, count_include_pad, divisor, counts.data());
        for (size_t i = 0; i < sums.size(); ++i) row[i] = static_cast<T>(quotient(sums[i], counts[i]));
      }
    }
  });
}

}  // namespace

void avg_pool(const Tensor& x, const PoolParams& params, bool count_include_pad, std::optional<int64_t> divisor,
              const Tensor& out) {
  // From here on the roundings of single precision would be seen.
  constexpr int64_t kLargeWindow = 256;
  const PoolShape s = shape_of(x, params, out);
  if (out.numel() == 0) return;
  const Tensor result = plain_output(out);
  dispatch_numeric("avg_pool", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(x);
    const T* data = plain.data<T>();
    if constexpr (std::is_same_v<T, float>) {
      if (s.kernel_elements() >= kLargeWindow) {
        return avg_pool_sums<double>(s, data, count_include_pad, divisor, to);
      }
    }
    avg_pool_sums<T>(s, data, count_include_pad, divisor, to);
  });
  if (!result.is_same(out)) copy(result, out);
}

void avg_pool_backward(const Tensor& grad, const PoolParams& params, bool count_include_pad,
                       std::optional<int64_t> divisor, const Tensor& grad_x) {
  const PoolShape s = shape_of(grad_x, params, grad);
  if (grad_x.numel() == 0) return;
  const Tensor result = plain_output(grad_x);
  dispatch_floating("avg_pool_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    T* data = result.mutable_data<T>();
    const Tensor plain = contiguous(grad);
    const T* from = plain.data<T>();
    parallel_for(s.planes, plane_grain(s.in_plane() + s.work()), [&](int64_t begin, int64_t end) {
      CountedVector<T> shares(static_cast<size_t>(s.out[2]));
      for (int64_t p = begin; p < end; ++p) {
        T* to = data + p * s.in_plane();
        in_pieces(s.in_plane(), [to](int64_t first, int64_t last) { std::fill(to + first, to + last, T{0}); });
        const T* row = from + p * s.out_plane();
        for (int64_t r = 0; r < s.out[0] * s.out[1]; ++r, row += s.out[2]) {
          const int64_t od = r / s.out[1];
          const int64_t oh = r % s.out[1];
          divisors(s, od, oh, count_include_pad, divisor, shares.data());
          for (int64_t i = 0; i < s.out[2]; ++i)
            shares[static_cast<size_t>(i)] = row[i] / shares[static_cast<size_t>(i)];
          for_each_tap(s, od, oh, [&](int64_t at, const PoolShape::Tap& tap) {
            with_stride(s.stride[2], [&](auto stride) {
              T* target = to + at + tap.shift + tap.first * stride;
              const T* share = shares.data() + tap.first;
              const int64_t count = tap.last - tap.first;
              TW_INDEPENDENT
              for (int64_t i = 0; i < count; ++i) target[i * stride] += share[i];
            });
          });
        }
      }
    });
  });
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

}  // namespace tapewire::kernels
