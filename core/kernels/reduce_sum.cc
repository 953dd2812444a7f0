#include "core/kernels/reduce.h"
#include "core/kernels/reduce_impl.h"
#include "core/kernels/simd_impl.h"

namespace tapewire::kernels {
namespace {

// Floats are added in lanes within blocks and the blocks in double: the error does not grow with the length as that of
// one running sum would. Integers and bools are added in int64.
template <class T>
struct Sum {
  using Value = T;
  using Acc = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;
  static constexpr int64_t kBlock = 512;

  Acc init() const { return 0; }

  void run(const T* x, int64_t n, Acc& acc) const {
    if constexpr (std::is_floating_point_v<T>) {
      for (int64_t begin = 0; begin < n; begin += kBlock) {
        acc += block(x + begin, std::min(kBlock, n - begin));
      }
    } else {
      uint64_t total = 0;
      for (int64_t i = 0; i < n; ++i) total += static_cast<uint64_t>(static_cast<int64_t>(x[i]));
      acc = add(acc, static_cast<int64_t>(total));
    }
  }

  void row(const T* x, int64_t n, Acc* acc, int64_t) const {
    for (int64_t i = 0; i < n; ++i) acc[i] = add(acc[i], static_cast<Acc>(x[i]));
  }

  void merge(Acc& acc, const Acc& next) const { acc = add(acc, next); }

 private:
  static double block(const T* x, int64_t n) {
    using simd::kLanes;
    simd::Vec<T> sums[4] = {};
    int64_t i = 0;
    for (; i + 4 * kLanes<T> <= n; i += 4 * kLanes<T>) {
      for (int64_t s = 0; s < 4; ++s) sums[s] += simd::load(x + i + s * kLanes<T>);
    }
    for (; i + kLanes<T> <= n; i += kLanes<T>) sums[0] += simd::load(x + i);
    double total = static_cast<double>(simd::sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3])));
    for (; i < n; ++i) total += static_cast<double>(x[i]);
    return total;
  }
};

template <class T>
struct Product {
  using Value = T;
  using Acc = std::conditional_t<std::is_floating_point_v<T>, double, int64_t>;

  Acc init() const { return 1; }
  void run(const T* x, int64_t n, Acc& acc) const {
    for (int64_t i = 0; i < n; ++i) acc = multiply(acc, static_cast<Acc>(x[i]));
  }
  void row(const T* x, int64_t n, Acc* acc, int64_t) const {
    for (int64_t i = 0; i < n; ++i) acc[i] = multiply(acc[i], static_cast<Acc>(x[i]));
  }
  void merge(Acc& acc, const Acc& next) const { acc = multiply(acc, next); }
};

template <template <class> class Reducer>
void reduce_into(const Tensor& x, Ints dims, const Tensor& out) {
  const ReducePlan plan = plan_reduction(x, dims, out);
  const OutputWriter writer(out);
  dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) {
    const Reducer<T> reducer;
    fold(plan, x.data<T>(), reducer, [&](int64_t offset, auto value) { writer.put(offset, value); });
  });
}

}  // namespace

void sum(const Tensor& x, Ints dims, const Tensor& out) { reduce_into<Sum>(x, dims, out); }
void mean(const Tensor& x, Ints dims, const Tensor& out) {
  const ReducePlan plan = plan_reduction(x, dims, out);
  const OutputWriter writer(out);
  dispatch_floating("mean", x.dtype(), [&]<class T>(TypeTag<T>) {
    const auto count = static_cast<T>(plan.length);
    const Sum<T> reducer;
    fold(plan, x.data<T>(), reducer,
         [&](int64_t offset, auto value) { writer.put(offset, static_cast<T>(value) / count); });
  });
}
void prod(const Tensor& x, Ints dims, const Tensor& out) { reduce_into<Product>(x, dims, out); }

}  // namespace tapewire::kernels
