#include "core/kernels/pool.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"

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

  int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  int64_t out_plane() const { return out[0] * out[1] * out[2]; }
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

template <class T>
bool beats(T x, T best) {
  return x > best || x != x;
}

template <class T>
void max_window(const PoolShape& s, const T* x, int64_t od, int64_t oh, int64_t ow, T* out, int64_t* index) {
  const Reach depth = reach(s, 0, od);
  const Reach height = reach(s, 1, oh);
  const Reach width = reach(s, 2, ow);
  T best = std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  int64_t where = (depth.begin * s.in[1] + height.begin) * s.in[2] + width.begin;
  for (int64_t d = depth.begin; d < depth.end; d += s.dilation[0]) {
    for (int64_t h = height.begin; h < height.end; h += s.dilation[1]) {
      const int64_t row = (d * s.in[1] + h) * s.in[2];
      for (int64_t w = width.begin; w < width.end; w += s.dilation[2]) {
        if (beats(x[row + w], best)) {
          best = x[row + w];
          where = row + w;
        }
      }
    }
  }
  *out = best;
  *index = where;
}

// The common window, two by two with stride two, over a row of outputs and without branches.
template <class T>
void max_row_2x2(const T* x, int64_t row, int64_t pitch, int64_t count, T* out, int64_t* index) {
  const T* above = x + row;
  const T* below = above + pitch;
  for (int64_t i = 0; i < count; ++i) {
    T best = above[2 * i];
    int64_t where = 0;
    const auto consider = [&](T value, int64_t at) {
      const bool take = (value > best) | (value != value);
      best = take ? value : best;
      where = take ? at : where;
    };
    consider(above[2 * i + 1], 1);
    consider(below[2 * i], pitch);
    consider(below[2 * i + 1], pitch + 1);
    out[i] = best;
    index[i] = row + 2 * i + where;
  }
}

template <class T>
void max_plane(const PoolShape& s, const T* x, T* out, int64_t* index) {
  const bool two_by_two = s.kernel == std::array<int64_t, 3>{1, 2, 2} && s.stride[1] == 2 && s.stride[2] == 2 &&
                          s.in[0] == 1 && s.out[0] == 1 && s.padding == std::array<int64_t, 3>{0, 0, 0} &&
                          s.dilation[1] == 1 && s.dilation[2] == 1 && 2 * s.out[1] <= s.in[1] &&
                          2 * s.out[2] <= s.in[2];
  for (int64_t od = 0; od < s.out[0]; ++od) {
    for (int64_t oh = 0; oh < s.out[1]; ++oh) {
      if (two_by_two) {
        max_row_2x2(x, 2 * oh * s.in[2], s.in[2], s.out[2], out, index);
        out += s.out[2];
        index += s.out[2];
        continue;
      }
      for (int64_t ow = 0; ow < s.out[2]; ++ow) max_window(s, x, od, oh, ow, out++, index++);
    }
  }
}

// How much of a window counts, inside the image or with its padding.
int64_t divisor_of(const PoolShape& s, const Reach (&inside)[3], int64_t od, int64_t oh, int64_t ow,
                   bool count_include_pad, std::optional<int64_t> divisor) {
  if (divisor) return *divisor;
  int64_t count = 1;
  const int64_t at[] = {od, oh, ow};
  for (size_t d = 0; d < 3; ++d) {
    if (count_include_pad) {
      const int64_t begin = at[d] * s.stride[d] - s.padding[d];
      count *= std::min(begin + s.kernel[d], s.in[d] + s.padding[d]) - begin;
    } else {
      count *= inside[d].end - inside[d].begin;
    }
  }
  return count;
}

// Calls f(output index, inside, divisor) for each window of a plane.
template <class F>
void for_each_mean(const PoolShape& s, bool count_include_pad, std::optional<int64_t> divisor, const F& f) {
  int64_t i = 0;
  for (int64_t od = 0; od < s.out[0]; ++od) {
    for (int64_t oh = 0; oh < s.out[1]; ++oh) {
      for (int64_t ow = 0; ow < s.out[2]; ++ow, ++i) {
        const Reach inside[3] = {reach(s, 0, od), reach(s, 1, oh), reach(s, 2, ow)};
        f(i, inside, divisor_of(s, inside, od, oh, ow, count_include_pad, divisor));
      }
    }
  }
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
    const int64_t work = s.out_plane() * s.kernel[0] * s.kernel[1] * s.kernel[2];
    parallel_for(s.planes, plane_grain(work), [&](int64_t begin, int64_t end) {
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
  const Tensor result = plain_output(grad_x);
  dispatch_floating("max_pool_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain_grad = contiguous(grad);
    const Tensor plain_indices = contiguous(indices);
    const T* from = plain_grad.data<T>();
    const int64_t* index = plain_indices.data<int64_t>();
    parallel_for(planes.count, plane_grain(planes.full + planes.pooled), [&](int64_t begin, int64_t end) {
      std::fill(to + begin * planes.full, to + end * planes.full, T{0});
      for (int64_t p = begin; p < end; ++p) {
        for (int64_t i = p * planes.pooled; i < (p + 1) * planes.pooled; ++i) {
          check_index(index[i], planes.full);
          to[p * planes.full + index[i]] += from[i];
        }
      }
    });
  });
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

void gather_planes(const Tensor& x, const Tensor& indices, const Tensor& out) {
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
        for (int64_t i = p * planes.pooled; i < (p + 1) * planes.pooled; ++i) {
          check_index(index[i], planes.full);
          to[i] = from[p * planes.full + index[i]];
        }
      }
    });
  });
  if (!result.is_same(out)) copy(result, out);
}

void avg_pool(const Tensor& x, const PoolParams& params, bool count_include_pad, std::optional<int64_t> divisor,
              const Tensor& out) {
  const PoolShape s = shape_of(x, params, out);
  if (out.numel() == 0) return;
  const Tensor result = plain_output(out);
  dispatch_floating("avg_pool", x.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(x);
    const T* data = plain.data<T>();
    const int64_t work = s.out_plane() * s.kernel[0] * s.kernel[1] * s.kernel[2];
    parallel_for(s.planes, plane_grain(work), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const T* from = data + p * s.in_plane();
        for_each_mean(s, count_include_pad, divisor, [&](int64_t i, const Reach(&in)[3], int64_t count) {
          T sum = 0;
          for (int64_t d = in[0].begin; d < in[0].end; ++d) {
            for (int64_t h = in[1].begin; h < in[1].end; ++h) {
              const T* row = from + (d * s.in[1] + h) * s.in[2];
              for (int64_t w = in[2].begin; w < in[2].end; ++w) sum += row[w];
            }
          }
          to[p * s.out_plane() + i] = sum / static_cast<T>(count);
        });
      }
    });
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
    const int64_t work = s.in_plane() + s.out_plane() * s.kernel[0] * s.kernel[1] * s.kernel[2];
    parallel_for(s.planes, plane_grain(work), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        T* to = data + p * s.in_plane();
        std::fill_n(to, s.in_plane(), T{0});
        for_each_mean(s, count_include_pad, divisor, [&](int64_t i, const Reach(&in)[3], int64_t count) {
          const T share = from[p * s.out_plane() + i] / static_cast<T>(count);
          for (int64_t d = in[0].begin; d < in[0].end; ++d) {
            for (int64_t h = in[1].begin; h < in[1].end; ++h) {
              T* row = to + (d * s.in[1] + h) * s.in[2];
              for (int64_t w = in[2].begin; w < in[2].end; ++w) row[w] += share;
            }
          }
        });
      }
    });
  });
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

}  // namespace tapewire::kernels
