#include <math.h>

#include <cmath>
#include <numbers>

#include "core/kernels/unary_impl.h"

namespace tapewire::kernels {
namespace {

// std::lgamma writes the global signgam.
float log_gamma(float x) {
  int sign = 0;
  return lgammaf_r(x, &sign);
}
double log_gamma(double x) {
  int sign = 0;
  return lgamma_r(x, &sign);
}

// As ATen's calc_digamma (after Cephes): reflection below zero, recurrence up to 10, then the asymptotic series.
double digamma(double x) {
  if (x == 0) return std::copysign(INFINITY, -x);
  double result = 0;
  if (x < 0) {
    if (x == std::trunc(x)) return NAN;
    double whole = 0;
    const double fraction = std::modf(x, &whole);
    result = -std::numbers::pi / std::tan(std::numbers::pi * fraction);
    x = 1 - x;
  }
  while (x < 10) {
    result -= 1 / x;
    x += 1;
  }
  if (x == 10) return result + 2.25175258906672110764;
  double series = 0;
  if (x < 1e17) {
    constexpr double kTerms[] = {8.33333333333333333333e-2,  -2.10927960927960927961e-2, 7.57575757575757575758e-3,
                                 -4.16666666666666666667e-3, 3.96825396825396825397e-3,  -8.33333333333333333333e-3,
                                 8.33333333333333333333e-2};
    const double z = 1 / (x * x);
    for (const double term : kTerms) series = series * z + term;
    series *= z;
  }
  return result + std::log(x) - 0.5 / x - series;
}

}  // namespace

template <class T>
bool trigonometric_unary(UnaryOp op, const Tensor& x, const Tensor& out) {
  using V = simd::Vec<T>;
  const auto run = [&](auto f) {
    simd_unary<T>(x, out, f);
    return true;
  };
  const auto run_scalar = [&](auto f) {
    map<T, T>(kHeavyGrain, out, f, x);
    return true;
  };
  switch (op) {
    case UnaryOp::kSin:
      return run([](V v) { return simd::sin(v); });
    case UnaryOp::kCos:
      return run([](V v) { return simd::cos(v); });
    case UnaryOp::kTan:
      return run([](V v) { return simd::tan(v); });
    case UnaryOp::kAsin:
      return run([](V v) { return simd::asin(v); });
    case UnaryOp::kAcos:
      return run([](V v) { return simd::acos(v); });
    case UnaryOp::kAtan:
      return run([](V v) { return simd::atan(v); });
    case UnaryOp::kAsinh:
      return run([](V v) { return simd::asinh(v); });
    case UnaryOp::kAcosh:
      return run([](V v) { return simd::acosh(v); });
    case UnaryOp::kAtanh:
      return run([](V v) { return simd::atanh(v); });
    case UnaryOp::kLgamma:
      return run_scalar([](T v) { return log_gamma(v); });
    case UnaryOp::kDigamma:
      return run_scalar([](T v) { return static_cast<T>(digamma(static_cast<double>(v))); });
    default:
      return false;
  }
}

template bool trigonometric_unary<float>(UnaryOp, const Tensor&, const Tensor&);
template bool trigonometric_unary<double>(UnaryOp, const Tensor&, const Tensor&);

}  // namespace tapewire::kernels
