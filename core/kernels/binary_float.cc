#include <cmath>
#include <numbers>

#include "core/kernels/binary_impl.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"

namespace tapewire::kernels {
namespace {

// Python's floor division, as c10::div_floor_floating: exact where x / y rounds up to an integer.
template <class T>
T div_floor(T x, T y) {
  if (y == T{0}) return x / y;
  const T mod = std::fmod(x, y);
  T div = (x - mod) / y;
  if (mod != T{0} && (y < T{0}) != (mod < T{0})) div -= T{1};
  if (div == T{0}) return std::copysign(T{0}, x / y);
  const T whole = std::floor(div);
  return div - whole > T{0.5} ? whole + T{1} : whole;
}

template <class T>
T remainder(T x, T y) {
  const T mod = std::fmod(x, y);
  return mod != T{0} && (y < T{0}) != (mod < T{0}) ? mod + y : mod;
}

template <class V>
V log_add_exp(V x, V y) {
  const V m = simd::max(x, y);
  const V d = simd::abs(x - y);
  // Equal infinities: their difference is NaN, the result is the infinity.
  return ((x == y) & (simd::abs(x) == simd::like(x, INFINITY))) ? x : m + simd::log1p(simd::exp(-d));
}

template <class V>
V log_add_exp2(V x, V y) {
  const V m = simd::max(x, y);
  const V d = simd::abs(x - y);
  const V tail = simd::log1p(simd::exp2(-d)) * simd::like(x, std::numbers::log2e);
  return ((x == y) & (simd::abs(x) == simd::like(x, INFINITY))) ? x : m + tail;
}

}  // namespace

template <class T>
void floating_binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out) {
  using V = simd::Vec<T>;
  const auto light = [&](auto f) { map<T, T, T>(kLightGrain, out, f, a, b); };
  const auto heavy = [&](auto f) { map<T, T, T>(kHeavyGrain, out, f, a, b); };
  const auto vectors = [&](auto f) {
    elementwise<T, T, T>(
        kHeavyGrain, out, [&](int64_t n, T* to, const T* x, const T* y) { simd::map<T>(n, to, x, y, f); }, a, b);
  };
  switch (op) {
    case BinaryOp::kDiv:
      return light([](T x, T y) { return x / y; });
    case BinaryOp::kDivTrunc:
      return light([](T x, T y) { return std::trunc(x / y); });
    case BinaryOp::kDivFloor:
      return heavy([](T x, T y) { return div_floor(x, y); });
    case BinaryOp::kRemainder:
      return heavy([](T x, T y) { return remainder(x, y); });
    case BinaryOp::kFmod:
      return heavy([](T x, T y) { return std::fmod(x, y); });
    case BinaryOp::kPow:
      return vectors([](V x, V y) { return simd::pow(x, y); });
    case BinaryOp::kAtan2:
      return vectors([](V y, V x) { return simd::atan2(y, x); });
    case BinaryOp::kHypot:
      return vectors([](V x, V y) { return simd::hypot(x, y); });
    case BinaryOp::kLogaddexp:
      return vectors([](V x, V y) { return log_add_exp(x, y); });
    case BinaryOp::kLogaddexp2:
      return vectors([](V x, V y) { return log_add_exp2(x, y); });
    case BinaryOp::kPrelu:
      return light([](T x, T w) { return x > T{0} ? x : x * w; });
    default:
      fail_internal("binary: no such function");
  }
}

template void floating_binary<float>(BinaryOp, const Tensor&, const Tensor&, const Tensor&);
template void floating_binary<double>(BinaryOp, const Tensor&, const Tensor&, const Tensor&);

void power(const Tensor& x, double exponent, const Tensor& out) {
  dispatch_floating("pow", out.dtype(), [&]<class T>(TypeTag<T>) {
    const auto run = [&](auto f) { map<T, T>(kLightGrain, out, f, x); };
    if (exponent == 2) return run([](T v) { return v * v; });
    if (exponent == 3) return run([](T v) { return v * v * v; });
    if (exponent == 1) return run([](T v) { return v; });
    if (exponent == 0.5) return run([](T v) { return std::sqrt(v); });
    if (exponent == -0.5) return run([](T v) { return T{1} / std::sqrt(v); });
    if (exponent == -1) return run([](T v) { return T{1} / v; });
    if (exponent == -2) return run([](T v) { return T{1} / (v * v); });
    binary(BinaryOp::kPow, x, Tensor::scalar(exponent, x.dtype()), out);
  });
}

}  // namespace tapewire::kernels
