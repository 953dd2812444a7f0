#include "core/kernels/creation.h"

#include <cmath>

#include "core/base/parallel_for.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

// Where ATen's build for processors of today fuses a multiplication and an addition, std::fma says so. Its vector loop
// rounds the first number of each vector to the dtype and counts on from that; two vectors are done at a time and what
// is left is counted from the start.
template <class T>
void arange_floats(T* to, int64_t n, double start, double step) {
  constexpr int64_t kWidth = 32 / static_cast<int64_t>(sizeof(T));
  const int64_t in_vectors = n / (2 * kWidth) * (2 * kWidth);
  parallel_for(n, kHeavyGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i < in_vectors ? i / kWidth * kWidth : i;
      const T base = static_cast<T>(std::fma(step, static_cast<double>(first), start));
      to[i] =
          i == first ? base : static_cast<T>(std::fma(static_cast<double>(i - first), step, static_cast<double>(base)));
    }
  });
}

template <class T>
void arange_integers(T* to, int64_t n, int64_t start, int64_t step) {
  parallel_for(n, kLightGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = static_cast<T>(add(start, multiply(step, i)));
  });
}

}  // namespace

void arange(const Tensor& out, const Scalar& start, const Scalar& step) {
  dispatch_numeric("arange", out.dtype(), [&]<class T>(TypeTag<T>) {
    T* to = out.mutable_data<T>();
    if constexpr (std::is_floating_point_v<T>) {
      arange_floats(to, out.numel(), start.to<double>(), step.to<double>());
    } else {
      arange_integers(to, out.numel(), start.to<int64_t>(), step.to<int64_t>());
    }
  });
}

void linspace(const Tensor& out, const Scalar& start, const Scalar& end) {
  dispatch_numeric("linspace", out.dtype(), [&]<class T>(TypeTag<T>) {
    using Step = std::conditional_t<std::is_floating_point_v<T>, T, double>;
    const auto exact = [](const Scalar& number) {
      if constexpr (std::is_floating_point_v<T>) {
        return number.to<T>();
      } else {
        return static_cast<T>(number.to<int64_t>());
      }
    };
    T* to = out.mutable_data<T>();
    const int64_t n = out.numel();
    const auto first = static_cast<Step>(exact(start));
    const auto last = static_cast<Step>(exact(end));
    if (n == 1) {
      to[0] = exact(start);
      return;
    }
    const Step step = (last - first) / static_cast<Step>(n - 1);
    parallel_for(n, kHeavyGrain, [&](int64_t begin, int64_t stop) {
      for (int64_t i = begin; i < stop; ++i) {
        to[i] = static_cast<T>(i < n / 2 ? std::fma(step, static_cast<Step>(i), first)
                                         : std::fma(-step, static_cast<Step>(n - i - 1), last));
      }
    });
  });
}

}  // namespace tapewire::kernels
