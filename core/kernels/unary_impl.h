#pragma once

#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"
#include "core/kernels/unary.h"

namespace tapewire::kernels {

/// out = f(x) for f over simd vectors.
template <class T, class F>
void simd_unary(const Tensor& x, const Tensor& out, const F& f) {
  elementwise<T, T>(kHeavyGrain, out, [&f](int64_t n, T* to, const T* from) { simd::map<T>(n, to, from, f); }, x);
}

// The families that unary() falls into; each false when `op` is of another. T is float or double.
template <class T>
bool exponential_unary(UnaryOp op, const Tensor& x, const Tensor& out);
template <class T>
bool trigonometric_unary(UnaryOp op, const Tensor& x, const Tensor& out);
template <class T>
bool activation_unary(UnaryOp op, const Tensor& x, const Tensor& out);

/// log|gamma(x)| and its derivative.
float log_gamma(float x);
double log_gamma(double x);
double digamma(double x);

}  // namespace tapewire::kernels
