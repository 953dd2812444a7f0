#include <math.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/kernels/unary_impl.h"

namespace tapewire::kernels {
namespace {

// The Hurwitz zeta function, the sum over k >= 0 of (q + k)^-s, for s > 1 and q > 0: terms up to where the
// Euler-Maclaurin formula converges, then its integral, half term and twelve corrections.
double zeta_of_positive(double s, double q) {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon() / 2;
  double sum = 0;
  while (q < std::max(10.0, s)) {
    const double term = std::pow(q, -s);
    sum += term;
    if (term <= kEpsilon * sum) return sum;
    q += 1;
  }
  // B(2j) / (2j)!
  constexpr double kBernoulli[] = {8.333333333333333e-02,  -1.388888888888889e-03, 3.306878306878307e-05,
                                   -8.267195767195767e-07, 2.087675698786810e-08,  -5.284190138687493e-10,
                                   1.338253653068468e-11,  -3.389680296322583e-13, 8.586062056277845e-15,
                                   -2.174868698558062e-16, 5.509002828360230e-18,  -1.395446468581252e-19};
  double power = std::pow(q, -s);
  sum += power * q / (s - 1) + power / 2;
  double factor = s;
  double order = s;
  power /= q;
  for (const double bernoulli : kBernoulli) {
    const double term = bernoulli * factor * power;
    sum += term;
    if (!(std::fabs(term) > kEpsilon * std::fabs(sum))) break;
    factor *= (order + 1) * (order + 2);
    order += 2;
    power /= q * q;
  }
  return sum;
}

// The same for a whole s > 1 and any q; below zero the terms in front of the nearest pole's are positive ones,
// backwards.
double zeta(double s, double q) {
  if (std::isnan(q)) return q;
  if (q > 0) return std::isinf(q) ? 0 : zeta_of_positive(s, q);
  if (std::isinf(q)) return NAN;
  // The nearest pole, and how far it is, which is exact and may be little: its term is nearly all then.
  const double pole = std::round(-q);
  const double apart = q + pole;
  if (apart == 0) return INFINITY;
  const double mirrored = zeta_of_positive(s, 1 - apart) - zeta_of_positive(s, 1 - q);
  return std::pow(apart, -s) + zeta_of_positive(s, 1 + apart) + (std::fmod(s, 2) == 0 ? mirrored : -mirrored);
}

double polygamma_one(int64_t n, double x) {
  if (n == 0) return digamma(x);
  const double order = static_cast<double>(n);
  const double magnitude = std::exp(log_gamma(order + 1)) * zeta(order + 1, x);
  return n % 2 == 1 ? magnitude : -magnitude;
}

}  // namespace

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
    // The tangent's period is 1: by how far the nearest pole is, which is exact.
    result = -std::numbers::pi / std::tan(std::numbers::pi * (x - std::round(x)));
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

void polygamma(int64_t n, const Tensor& x, const Tensor& out) {
  dispatch_floating("polygamma", x.dtype(), [&]<class T>(TypeTag<T>) {
    map<T, T>(kHeavyGrain, out, [n](T v) { return static_cast<T>(polygamma_one(n, static_cast<double>(v))); }, x);
  });
}

}  // namespace tapewire::kernels
