#include "core/kernels/stats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/base/cancel.h"
#include "core/base/parallel_for.h"
#include "core/kernels/copy.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"
#include "core/tensor/allocator.h"

namespace tapewire::kernels {
namespace {

constexpr int64_t kBlock = 512;   // added in T's precision, then in double
constexpr int64_t kTask = 65536;  // elements a task takes

struct Sums {
  int64_t zeros = 0;
  int64_t nans = 0;
  int64_t infs = 0;
  double sum = 0;
  double squares = 0;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void merge(const Sums& next) {
    zeros += next.zeros;
    nans += next.nans;
    infs += next.infs;
    sum += next.sum;
    squares += next.squares;
    low = std::min(low, next.low);
    high = std::max(high, next.high);
  }
};

// Element by element: for blocks with something that is not finite, for tails, and for integers.
template <class T>
void add_one(Sums& sums, T value) {
  const double v = static_cast<double>(value);
  if constexpr (std::is_floating_point_v<T>) {
    if (!(std::fabs(v) <= static_cast<double>(std::numeric_limits<T>::max()))) {
      ++(v != v ? sums.nans : sums.infs);
      return;
    }
  }
  sums.zeros += v == 0;
  sums.sum += v;
  sums.squares += v * v;
  sums.low = std::min(sums.low, v);
  sums.high = std::max(sums.high, v);
}

template <class T>
void add_block(Sums& sums, const T* x, int64_t n) {
  int64_t i = 0;
  if constexpr (std::is_floating_point_v<T>) {
    using V = simd::Vec<T>;
    constexpr int64_t kLanes = simd::kLanes<T>;
    if (n >= 2 * kLanes) {
      V sum[2] = {};
      V squares[2] = {};
      V spoilt[2] = {};  // 0, or NaN once something is not finite
      V low[2] = {simd::load(x), simd::load(x)};
      V high[2] = {low[0], low[0]};
      typename simd::VecOf<T>::Bits zeros[2] = {};
      for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
        for (int k = 0; k < 2; ++k) {
          const V v = simd::load(x + i + k * kLanes);
          sum[k] += v;
          squares[k] += v * v;
          spoilt[k] += v * V{};
          low[k] = v < low[k] ? v : low[k];
          high[k] = v > high[k] ? v : high[k];
          zeros[k] -= v == V{};
        }
      }
      const V sound = spoilt[0] + spoilt[1];
      if (!(simd::sum_lanes(sound) == T{0}) || !std::isfinite(simd::sum_lanes(squares[0] + squares[1]))) {
        i = 0;  // again, one by one
      } else {
        sums.sum += static_cast<double>(simd::sum_lanes(sum[0] + sum[1]));
        sums.squares += static_cast<double>(simd::sum_lanes(squares[0] + squares[1]));
        for (int64_t l = 0; l < kLanes; ++l) {
          sums.low = std::min({sums.low, static_cast<double>(low[0][l]), static_cast<double>(low[1][l])});
          sums.high = std::max({sums.high, static_cast<double>(high[0][l]), static_cast<double>(high[1][l])});
          sums.zeros += zeros[0][l] + zeros[1][l];
        }
      }
    }
  }
  for (; i < n; ++i) add_one(sums, x[i]);
}

// Bins are counted in tables of their own for neighbours, so that equal bins in a row do not wait for one another.
constexpr int kTables = 4;

template <class T>
void count_bins(const T* x, int64_t n, double low, double scale, int bins, int64_t* tables) {
  const auto bin_of = [&](T value) -> int {
    const double at = (static_cast<double>(value) * 0.5 - low * 0.5) * (scale * 2);  // halves: no overflow
    return at >= bins ? bins - 1 : at > 0 ? static_cast<int>(at) : 0;
  };
  const auto counts = [](T value) {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fabs(value) <= std::numeric_limits<T>::max();
    } else {
      return true;
    }
  };
  // Bins first, a block at a time, which vectorises; what is not finite goes to a bin behind the last.
  std::array<int32_t, kBlock> bin;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    bool in_float = false;
    if constexpr (std::is_same_v<T, float>) {
      in_float = std::isfinite(static_cast<float>(bins / scale)) && std::isfinite(static_cast<float>(scale));
    }
    if (in_float) {
      const float start = static_cast<float>(low);
      const float step = static_cast<float>(scale);
      const float last = static_cast<float>(bins - 1);
      const float none = static_cast<float>(bins);
      for (int64_t i = 0; i < count; ++i) {
        const float v = static_cast<float>(x[begin + i]);
        float at = (v - start) * step;
        at = at > 0 ? at : 0;
        at = at < last ? at : last;
        at = std::fabs(v) <= std::numeric_limits<float>::max() ? at : none;
        bin[static_cast<size_t>(i)] = static_cast<int32_t>(at);
      }
    } else {
      for (int64_t i = 0; i < count; ++i) {
        bin[static_cast<size_t>(i)] = counts(x[begin + i]) ? bin_of(x[begin + i]) : bins;
      }
    }
    const int64_t width = bins + 1;
    int64_t i = 0;
    for (; i + kTables <= count; i += kTables) {
      for (int k = 0; k < kTables; ++k) ++tables[k * width + bin[static_cast<size_t>(i + k)]];
    }
    for (; i < count; ++i) ++tables[bin[static_cast<size_t>(i)]];
  }
}

template <class T>
void histogram(const T* x, int64_t n, int bins, Stats& stats) {
  double low = stats.min;
  double high = stats.max;
  if (low == high) {
    low -= 0.5;
    high += 0.5;
  }
  // Halves first: the range of large numbers may overflow.
  const double width = high / bins - low / bins;
  stats.edges.resize(static_cast<size_t>(bins) + 1);
  for (int b = 0; b <= bins; ++b) stats.edges[static_cast<size_t>(b)] = b == bins ? high : low + width * b;
  const int64_t tasks = (n + kTask - 1) / kTask;
  const int64_t table = int64_t{bins + 1} * kTables;
  CountedVector<int64_t> tables(static_cast<size_t>(tasks * table));
  parallel_for(n, kTask, [&](int64_t begin, int64_t end) {
    count_bins(x + begin, end - begin, low, 1 / width, bins, tables.data() + begin / kTask * table);
  });
  stats.counts.assign(static_cast<size_t>(bins), 0);
  in_pieces(static_cast<int64_t>(tables.size()), [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const size_t bin = i % static_cast<size_t>(bins + 1);
      if (bin < static_cast<size_t>(bins)) stats.counts[bin] += tables[i];
    }
  });
}

// The sum of squared deviations, exactly: where the mean is far from zero for the spread, the difference of squares has
// lost it.
template <class T>
double deviations(const T* x, int64_t n, double mean) {
  double total = 0;
  in_pieces(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double d = static_cast<double>(x[i]) - mean;
      if (std::isfinite(static_cast<double>(x[i]))) total += d * d;
    }
  });
  return total;
}

template <class T>
Stats stats_of(const Tensor& x, int bins) {
  const T* data = x.data<T>();
  const int64_t n = x.numel();
  CountedVector<Sums> parts(static_cast<size_t>((n + kTask - 1) / kTask));
  parallel_for(n, kTask, [&](int64_t begin, int64_t end) {
    Sums& part = parts[static_cast<size_t>(begin / kTask)];
    for (int64_t at = begin; at < end; at += kBlock) add_block(part, data + at, std::min(kBlock, end - at));
  });
  Sums sums;
  for (const Sums& part : parts) sums.merge(part);

  Stats stats;
  stats.count = n;
  stats.zeros = sums.zeros;
  stats.nans = sums.nans;
  stats.infs = sums.infs;
  const int64_t finite = n - sums.nans - sums.infs;
  if (finite == 0) return stats;
  const double count = static_cast<double>(finite);
  stats.mean = sums.sum / count;
  stats.min = sums.low;
  stats.max = sums.high;
  stats.l2_norm = std::sqrt(sums.squares);
  double variance = sums.low == sums.high ? 0 : sums.squares / count - stats.mean * stats.mean;
  if (sums.low != sums.high && !(variance > stats.mean * stats.mean * 1e-2))
    variance = deviations(data, n, stats.mean) / count;
  stats.std = std::sqrt(variance);
  if (bins > 0) histogram(data, n, bins, stats);
  return stats;
}

}  // namespace

Stats stats(const Tensor& x, int histogram_bins) {
  const Tensor plain = contiguous(x);
  return dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) { return stats_of<T>(plain, histogram_bins); });
}

}  // namespace tapewire::kernels
