#include "core/kernels/unary_impl.h"

namespace tapewire::kernels {
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
