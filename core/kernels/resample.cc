#include "core/kernels/resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

// Keys' cubic convolution (1981), with the parameter that PyTorch takes.
template <class T>
T cubic(T distance, T a) {
  const T x = std::abs(distance);
  if (x < T{1}) return ((a + T{2}) * x - (a + T{3})) * x * x + T{1};
  if (x < T{2}) return (((x - T{5}) * x + T{8}) * x - T{4}) * a;
  return T{0};
}

// Where output i lies among the originals, in elements.
template <class T>
struct Placement {
  T scale;  // originals a step
  bool align_corners;

  T at(int64_t i) const {
    return align_corners ? scale * static_cast<T>(i) : scale * (static_cast<T>(i) + T{0.5}) - T{0.5};
  }
};

template <class T>
T scale_of(int64_t in, int64_t out, bool align_corners, std::optional<double> scale) {
  if (align_corners) return out > 1 ? static_cast<T>(in - 1) / static_cast<T>(out - 1) : T{0};
  if (scale && *scale > 0) return static_cast<T>(1.0 / *scale);
  return static_cast<T>(in) / static_cast<T>(out);
}

// A place may be far outside when the given scale says so.
template <class T>
int64_t clamped(T place, int64_t size) {
  if (!(place > T{0})) return 0;
  return place >= static_cast<T>(size - 1) ? size - 1 : static_cast<int64_t>(place);
}

// All at once: growing would hold them twice.
void reserve(ResampleDim& d) {
  const auto count = static_cast<size_t>(d.out * d.taps);
  d.index.reserve(count);
  d.weight.reserve(count);
}

template <class T>
void nearest_taps(ResampleDim& d, bool exact, T scale) {
  d.taps = 1;
  reserve(d);
  for (int64_t i = 0; i < d.out; ++i) {
    count_work(4);
    // ATen floors in float, whatever the dtype.
    const T place = exact ? (static_cast<T>(i) + T{0.5}) * scale : static_cast<T>(i) * scale;
    d.index.push_back(clamped(std::floor(static_cast<float>(place)), d.in));
    d.weight.push_back(1);
  }
}

template <class T>
void linear_taps(ResampleDim& d, const Placement<T>& placement) {
  d.taps = 2;
  reserve(d);
  for (int64_t i = 0; i < d.out; ++i) {
    count_work(8);
    const T place = std::max(placement.at(i), T{0});
    // Of the same size it is a copy, whatever scale was given.
    const int64_t low = d.in == d.out ? i : clamped(std::floor(place), d.in);
    const T share = d.in == d.out ? T{0} : std::clamp(place - static_cast<T>(low), T{0}, T{1});
    d.index.insert(d.index.end(), {low, std::min(low + 1, d.in - 1)});
    d.weight.insert(d.weight.end(), {static_cast<double>(T{1} - share), static_cast<double>(share)});
  }
}

template <class T>
void cubic_taps(ResampleDim& d, const Placement<T>& placement) {
  d.taps = 4;
  reserve(d);
  for (int64_t i = 0; i < d.out; ++i) {
    count_work(16);
    const T place = placement.at(i);
    const T whole = std::floor(place);
    const T share = place - whole;
    // Places outside repeat the border.
    const int64_t low = whole < T{0} ? (whole < T{-8} ? -8 : static_cast<int64_t>(whole)) : clamped(whole, d.in);
    for (int64_t k = -1; k <= 2; ++k) {
      d.index.push_back(std::clamp<int64_t>(low + k, 0, d.in - 1));
      d.weight.push_back(static_cast<double>(cubic(share - static_cast<T>(k), T{-0.75})));
    }
  }
}

// The filter stretched over as many originals as an output stands for, and normalised; as Pillow resizes.
template <class T>
void antialias_taps(ResampleDim& d, bool is_cubic, T scale) {
  const T stretch = std::max(scale, T{1});
  const T support = (is_cubic ? T{2} : T{1}) * stretch;
  d.taps = std::min<int64_t>(d.in, clamped(std::ceil(support), d.in + 1) * 2 + 1);
  // Of a scale that belongs to the sizes there are about 4 in + 5 out.
  if (d.taps > 16 * (d.in / d.out + 1)) {
    fail("interpolate: scale ", 1 / static_cast<double>(scale), " does not belong to sizes ", d.in, " and ", d.out);
  }
  reserve(d);
  for (int64_t i = 0; i < d.out; ++i) {
    count_work(4 * d.taps);
    const T centre = scale * (static_cast<T>(i) + T{0.5});
    const int64_t first = clamped(std::floor(centre - support + T{0.5}), d.in);
    const int64_t last = std::min(clamped(std::floor(centre + support + T{0.5}), d.in + 1), first + d.taps);
    const size_t start = d.weight.size();
    double total = 0;
    for (int64_t k = 0; k < d.taps; ++k) {
      const int64_t at = first + k;
      double weight = 0;
      if (at < last) {
        const T distance = (static_cast<T>(at) - centre + T{0.5}) / stretch;
        weight = static_cast<double>(is_cubic ? cubic(distance, T{-0.5}) : std::max(T{1} - std::abs(distance), T{0}));
      }
      total += weight;
      d.index.push_back(std::min(at, d.in - 1));
      d.weight.push_back(weight);
    }
    for (size_t k = start; k < d.weight.size() && total != 0; ++k) d.weight[k] /= total;
  }
}

template <class T>
ResampleDim dim_of(ResampleMode mode, int64_t in, int64_t out, bool align_corners, std::optional<double> given,
                   bool antialias) {
  ResampleDim d{in, out, 1, {}, {}};
  const T scale = scale_of<T>(in, out, align_corners, given);
  const Placement<T> placement{scale, align_corners};
  if (mode == ResampleMode::kNearest || mode == ResampleMode::kNearestExact) {
    nearest_taps(d, mode == ResampleMode::kNearestExact, scale);
  } else if (antialias) {
    antialias_taps(d, mode == ResampleMode::kCubic, scale);
  } else if (mode == ResampleMode::kLinear) {
    linear_taps(d, placement);
  } else {
    cubic_taps(d, placement);
  }
  return d;
}

// The dimensions filled up to three: leading ones have one element that is itself.
struct Grid {
  int64_t planes = 1;
  // As given, which outlive this; those in front of them are the one.
  std::array<const ResampleDim*, 3> dims{};
  std::unique_ptr<const ResampleDim> one;

  const ResampleDim& dim(size_t i) const { return *dims[i]; }
  int64_t in_plane() const { return dim(0).in * dim(1).in * dim(2).in; }
  int64_t out_plane() const { return dim(0).out * dim(1).out * dim(2).out; }
  int64_t taps() const { return dim(0).taps * dim(1).taps * dim(2).taps; }
};

Grid grid_of(const Tensor& x, std::span<const ResampleDim> dims, const Tensor& out) {
  const auto wrong = [&] { fail_internal("resampling ", to_string(x.sizes()), " to ", to_string(out.sizes())); };
  const size_t rank = dims.size();
  if (rank < 1 || rank > 3 || x.sizes().size() < rank || x.dim() != out.dim()) wrong();
  Grid g;
  const size_t lead = x.sizes().size() - rank;
  for (size_t d = 0; d < lead; ++d) g.planes *= x.sizes()[d];
  g.one = std::make_unique<ResampleDim>(ResampleDim{1, 1, 1, {0}, {1.0}});
  g.dims.fill(g.one.get());
  if (x.sizes().back() > std::numeric_limits<int32_t>::max()) {
    fail("interpolate: ", x.sizes().back(), " elements along the last dimension are too many");
  }
  for (size_t i = 0; i < rank; ++i) {
    if (dims[i].in != x.sizes()[lead + i] || dims[i].out != out.sizes()[lead + i]) wrong();
    g.dims[3 - rank + i] = &dims[i];
  }
  return g;
}

// Calls f(output row, original row, weight) for each output row and each of its taps in the two outer dimensions.
template <class F>
void for_each_row_pair(const Grid& g, const F& f) {
  const ResampleDim& depth = g.dim(0);
  const ResampleDim& height = g.dim(1);
  for (int64_t od = 0; od < depth.out; ++od) {
    for (int64_t oh = 0; oh < height.out; ++oh) {
      for (int64_t td = od * depth.taps; td < (od + 1) * depth.taps; ++td) {
        for (int64_t th = oh * height.taps; th < (oh + 1) * height.taps; ++th) {
          count_work(1);
          const auto d = static_cast<size_t>(td);
          const auto h = static_cast<size_t>(th);
          f(od * height.out + oh, depth.index[d] * height.in + height.index[h], depth.weight[d] * height.weight[h]);
        }
      }
    }
  }
}

int64_t plane_grain(const Grid& g) {
  return std::max<int64_t>(1, kHeavyGrain / std::max<int64_t>(1, g.out_plane() * g.taps() + g.in_plane()));
}

Tensor plain_output(const Tensor& out) { return out.is_contiguous() ? out : Tensor::empty(out.sizes(), out.dtype()); }

template <class T>
void pick(const Grid& g, const T* from, T* to) {
  const ResampleDim& width = g.dim(2);
  int64_t last = -1;
  for_each_row_pair(g, [&](int64_t out, int64_t in, double) {
    count_work(width.out);
    T* row = to + out * width.out;
    if (in == last) {
      std::copy_n(row - width.out, width.out, row);
      return;
    }
    last = in;
    for (int64_t i = 0; i < width.out; ++i) row[i] = from[in * width.in + width.index[static_cast<size_t>(i)]];
  });
}

// The taps of the innermost dimension, tap by tap, and which original rows are asked for at all.
template <class T>
struct Columns {
  CountedVector<int32_t> index;
  CountedVector<T> weight;
  CountedVector<bool> used;

  explicit Columns(const Grid& g) : used(static_cast<size_t>(g.dim(0).in * g.dim(1).in)) {
    const ResampleDim& width = g.dim(2);
    index.reserve(width.index.size());
    weight.reserve(width.weight.size());
    for (int64_t k = 0; k < width.taps; ++k) {
      for (int64_t i = 0; i < width.out; ++i) {
        count_work(4);
        const auto tap = static_cast<size_t>(i * width.taps + k);
        index.push_back(static_cast<int32_t>(width.index[tap]));
        weight.push_back(static_cast<T>(width.weight[tap]));
      }
    }
    for_each_row_pair(g, [&](int64_t, int64_t in, double) { used[static_cast<size_t>(in)] = true; });
  }
};

template <class T>
void fill_zeros(T* to, int64_t n) {
  in_pieces(n, [to](int64_t begin, int64_t end) { std::fill(to + begin, to + end, T{0}); });
}

// One plane: each original row that counts is resampled along itself into `rows`, then output rows are sums of these.
template <class T>
void blend(const Grid& g, const Columns<T>& columns, const T* from, T* rows, T* to) {
  const ResampleDim& width = g.dim(2);
  for (size_t r = 0; r < columns.used.size(); ++r) {
    if (!columns.used[r]) continue;
    const T* source = from + static_cast<int64_t>(r) * width.in;
    T* row = rows + static_cast<int64_t>(r) * width.out;
    std::fill_n(row, width.out, T{0});
    for (int64_t k = 0; k < width.taps; ++k) {
      count_work(width.out);
      const int32_t* index = columns.index.data() + k * width.out;
      const T* weight = columns.weight.data() + k * width.out;
      TW_INDEPENDENT
      for (int64_t i = 0; i < width.out; ++i) row[i] += weight[i] * source[index[i]];
    }
  }
  fill_zeros(to, g.out_plane());
  for_each_row_pair(g, [&](int64_t out, int64_t in, double row_weight) {
    count_work(width.out);
    const T factor = static_cast<T>(row_weight);
    const T* row = rows + in * width.out;
    T* sum = to + out * width.out;
    TW_INDEPENDENT
    for (int64_t i = 0; i < width.out; ++i) sum[i] += factor * row[i];
  });
}

// The transpose, in the other order.
template <class T>
void spread(const Grid& g, const Columns<T>& columns, const T* from, T* rows, T* to) {
  const ResampleDim& width = g.dim(2);
  fill_zeros(rows, static_cast<int64_t>(columns.used.size()) * width.out);
  for_each_row_pair(g, [&](int64_t out, int64_t in, double row_weight) {
    count_work(width.out);
    const T factor = static_cast<T>(row_weight);
    const T* grad = from + out * width.out;
    T* row = rows + in * width.out;
    TW_INDEPENDENT
    for (int64_t i = 0; i < width.out; ++i) row[i] += factor * grad[i];
  });
  fill_zeros(to, g.in_plane());
  for (size_t r = 0; r < columns.used.size(); ++r) {
    if (!columns.used[r]) continue;
    const T* row = rows + static_cast<int64_t>(r) * width.out;
    T* target = to + static_cast<int64_t>(r) * width.in;
    for (int64_t k = 0; k < width.taps; ++k) {
      count_work(width.out);
      const int32_t* index = columns.index.data() + k * width.out;
      const T* weight = columns.weight.data() + k * width.out;
      for (int64_t i = 0; i < width.out; ++i) target[index[i]] += weight[i] * row[i];
    }
  }
}

}  // namespace

ResampleDim resample_dim(ResampleMode mode, int64_t in, int64_t out, bool align_corners, std::optional<double> scale,
                         bool antialias, bool single) {
  if (in < 1 || out < 1) fail_internal("resampling ", in, " elements to ", out);
  return single ? dim_of<float>(mode, in, out, align_corners, scale, antialias)
                : dim_of<double>(mode, in, out, align_corners, scale, antialias);
}

void resample(const Tensor& x, std::span<const ResampleDim> dims, const Tensor& out) {
  if (out.numel() == 0) return;
  const Grid g = grid_of(x, dims, out);
  const Tensor result = plain_output(out);
  if (g.taps() == 1) {
    dispatch_numeric("interpolate", x.dtype(), [&]<class T>(TypeTag<T>) {
      T* to = result.mutable_data<T>();
      const Tensor plain = contiguous(x);
      const T* from = plain.data<T>();
      parallel_for(g.planes, plane_grain(g), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) pick(g, from + p * g.in_plane(), to + p * g.out_plane());
      });
    });
  } else {
    dispatch_floating("interpolate", x.dtype(), [&]<class T>(TypeTag<T>) {
      T* to = result.mutable_data<T>();
      const Tensor plain = contiguous(x);
      const T* from = plain.data<T>();
      const Columns<T> columns(g);
      parallel_for(g.planes, plane_grain(g), [&](int64_t begin, int64_t end) {
        const Tensor rows = Tensor::empty({g.dim(0).in * g.dim(1).in, g.dim(2).out}, x.dtype());
        for (int64_t p = begin; p < end; ++p) {
          blend(g, columns, from + p * g.in_plane(), rows.mutable_data<T>(), to + p * g.out_plane());
        }
      });
    });
  }
  if (!result.is_same(out)) copy(result, out);
}

void resample_backward(const Tensor& grad, std::span<const ResampleDim> dims, const Tensor& grad_x) {
  if (grad_x.numel() == 0) return;
  const Grid g = grid_of(grad_x, dims, grad);
  const Tensor result = plain_output(grad_x);
  dispatch_floating("interpolate_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = result.mutable_data<T>();
    const Tensor plain = contiguous(grad);
    const T* from = plain.data<T>();
    const Columns<T> columns(g);
    parallel_for(g.planes, plane_grain(g), [&](int64_t begin, int64_t end) {
      const Tensor rows = Tensor::empty({g.dim(0).in * g.dim(1).in, g.dim(2).out}, grad.dtype());
      for (int64_t p = begin; p < end; ++p) {
        spread(g, columns, from + p * g.out_plane(), rows.mutable_data<T>(), to + p * g.in_plane());
      }
    });
  });
  if (!result.is_same(grad_x)) copy(result, grad_x);
}

}  // namespace tapewire::kernels
