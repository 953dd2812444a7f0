#include <atomic>

#include "core/kernels/binary_impl.h"
#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {
namespace {

// Division by zero and of the least number by -1 trap on the processor; the first is an error, the second wraps.
template <class T>
T negated(T x) {
  return static_cast<T>(-static_cast<std::make_unsigned_t<T>>(x));
}
template <class T>
bool minus_one(T x) {
  return std::is_signed_v<T> && x == static_cast<T>(-1);
}

template <class T>
T div_trunc(T x, T y) {
  return minus_one(y) ? negated(x) : static_cast<T>(x / y);
}
template <class T>
T fmod(T x, T y) {
  return minus_one(y) ? T{0} : static_cast<T>(x % y);
}
template <class T>
T div_floor(T x, T y) {
  const T quotient = div_trunc(x, y);
  return fmod(x, y) != 0 && (x < 0) != (y < 0) ? static_cast<T>(quotient - 1) : quotient;
}
template <class T>
T remainder(T x, T y) {
  const T mod = fmod(x, y);
  return mod != 0 && (mod < 0) != (y < 0) ? static_cast<T>(mod + y) : mod;
}

// Wraps on overflow; negative powers are 0 but for the bases 1 and -1, as powi of ATen.
template <class T>
T power(T base, T exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    if (minus_one(base)) return exponent % 2 == 0 ? T{1} : static_cast<T>(-1);
    return 0;
  }
  uint64_t result = 1;
  uint64_t factor = static_cast<uint64_t>(base);
  for (uint64_t left = static_cast<uint64_t>(exponent); left != 0; left >>= 1) {
    if ((left & 1) != 0) result *= factor;
    factor *= factor;
  }
  return static_cast<T>(result);
}

template <class T, class F>
void divide(const Tensor& a, const Tensor& b, const Tensor& out, const F& f) {
  std::atomic<bool> by_zero{false};
  elementwise<T, T, T>(
      kHeavyGrain, out,
      [&](int64_t n, T* to, const T* x, const T* y) {
        bool zero = false;
        for (int64_t i = 0; i < n; ++i) {
          const T divisor = y[i];
          zero = zero || divisor == 0;
          to[i] = f(x[i], divisor == 0 ? T{1} : divisor);
        }
        if (zero) by_zero.store(true, std::memory_order_relaxed);
      },
      a, b);
  if (by_zero.load(std::memory_order_relaxed)) fail("ZeroDivisionError");
}

}  // namespace

template <class T>
void integer_binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out) {
  switch (op) {
    case BinaryOp::kDivTrunc:
      return divide<T>(a, b, out, [](T x, T y) { return div_trunc(x, y); });
    case BinaryOp::kDivFloor:
      return divide<T>(a, b, out, [](T x, T y) { return div_floor(x, y); });
    case BinaryOp::kRemainder:
      return divide<T>(a, b, out, [](T x, T y) { return remainder(x, y); });
    case BinaryOp::kFmod:
      return divide<T>(a, b, out, [](T x, T y) { return fmod(x, y); });
    case BinaryOp::kPow:
      return map<T, T, T>(kHeavyGrain, out, [](T x, T y) { return power(x, y); }, a, b);
    default:
      fail(name_of(op), ": expects float32 or float64, got ", name_of(a.dtype()));
  }
}

template void integer_binary<int64_t>(BinaryOp, const Tensor&, const Tensor&, const Tensor&);
template void integer_binary<int32_t>(BinaryOp, const Tensor&, const Tensor&, const Tensor&);
template void integer_binary<uint8_t>(BinaryOp, const Tensor&, const Tensor&, const Tensor&);

}  // namespace tapewire::kernels
