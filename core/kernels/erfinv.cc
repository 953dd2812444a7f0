#include "core/kernels/erfinv.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

// Good to 3e-4 of the result: as in MATLAB's erfinv and ATen's calc_erfinv.
template <class T>
T first_guess(T x, T size) {
  if (size <= T(0.7)) {
    const T z = x * x;
    const T top = ((T(-0.140543331) * z + T(0.914624893)) * z + T(-1.645349621)) * z + T(0.886226899);
    const T bottom = (((T(0.012229801) * z + T(-0.329097515)) * z + T(1.442710462)) * z + T(-2.118377725)) * z + T(1);
    return x * top / bottom;
  }
  const T z = std::sqrt(-std::log((T(1) - size) / T(2)));
  const T top = ((T(1.641345311) * z + T(3.429567803)) * z + T(-1.624906493)) * z + T(-1.970840454);
  const T bottom = (T(1.637067800) * z + T(3.543889200)) * z + T(1);
  return std::copysign(top, x) / bottom;
}

template <class T>
T inverse(T x) {
  const T size = std::abs(x);
  if (!(size <= T(1))) return std::numeric_limits<T>::quiet_NaN();
  if (size == T(1)) return std::copysign(std::numeric_limits<T>::infinity(), x);
  T y = first_guess(x, size);
  for (int step = 0; step < 2; ++step) {
    y -= (std::erf(y) - x) / (T(2) * std::numbers::inv_sqrtpi_v<T> * std::exp(-y * y));
  }
  return y;
}

}  // namespace

void erfinv(const Tensor& x, const Tensor& out) {
  dispatch_floating("erfinv", x.dtype(),
                    [&]<class T>(TypeTag<T>) { map<T, T>(kHeavyGrain, out, [](T v) { return inverse(v); }, x); });
}

}  // namespace tapewire::kernels
