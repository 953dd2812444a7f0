#include "core/kernels/unary_impl.h"

namespace tapewire::kernels {

template <class T>
bool exponential_unary(UnaryOp op, const Tensor& x, const Tensor& out) {
  using V = simd::Vec<T>;
  const auto run = [&](auto f) {
    simd_unary<T>(x, out, f);
    return true;
  };
  switch (op) {
    case UnaryOp::kExp:
      return run([](V v) { return simd::exp(v); });
    case UnaryOp::kExp2:
      return run([](V v) { return simd::exp2(v); });
    case UnaryOp::kExpm1:
      return run([](V v) { return simd::expm1(v); });
    case UnaryOp::kLog:
      return run([](V v) { return simd::log(v); });
    case UnaryOp::kLog2:
      return run([](V v) { return simd::log2(v); });
    case UnaryOp::kLog10:
      return run([](V v) { return simd::log10(v); });
    case UnaryOp::kLog1p:
      return run([](V v) { return simd::log1p(v); });
    case UnaryOp::kSinh:
      return run([](V v) { return simd::sinh(v); });
    case UnaryOp::kCosh:
      return run([](V v) { return simd::cosh(v); });
    case UnaryOp::kTanh:
      return run([](V v) { return simd::tanh(v); });
    case UnaryOp::kSigmoid:
      return run([](V v) { return simd::sigmoid(v); });
    case UnaryOp::kErf:
      return run([](V v) { return simd::erf(v); });
    case UnaryOp::kErfc:
      return run([](V v) { return simd::erfc(v); });
    default:
      return false;
  }
}

template bool exponential_unary<float>(UnaryOp, const Tensor&, const Tensor&);
template bool exponential_unary<double>(UnaryOp, const Tensor&, const Tensor&);

}  // namespace tapewire::kernels
