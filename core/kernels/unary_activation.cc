#include <numbers>

#include "core/kernels/unary_impl.h"

namespace tapewire::kernels {

template <class T>
bool activation_unary(UnaryOp op, const Tensor& x, const Tensor& out) {
  using V = simd::Vec<T>;
  const auto run = [&](auto f) {
    simd_unary<T>(x, out, f);
    return true;
  };
  constexpr auto kConst = [](double c) { return simd::splat(static_cast<T>(c)); };
  switch (op) {
    case UnaryOp::kSelu:
      return run([=](V v) {
        constexpr double kAlpha = 1.6732632423543772848170429916717;
        constexpr double kScale = 1.0507009873554804934193349852946;
        return v > kConst(0) ? v * kConst(kScale) : kConst(kAlpha * kScale) * simd::expm1(v);
      });
    case UnaryOp::kSilu:
      return run([=](V v) { return simd::from_finite(v) / (kConst(1) + simd::exp(-v)); });
    case UnaryOp::kMish:
      return run([=](V v) { return simd::from_finite(v) * simd::tanh(simd::softplus(v)); });
    case UnaryOp::kLogsigmoid:
      return run([=](V v) { return simd::min(v, kConst(0)) - simd::log1p(simd::exp(-simd::abs(v))); });
    case UnaryOp::kTanhshrink:
      return run([](V v) { return v - simd::tanh(v); });
    case UnaryOp::kGelu:
      return run([=](V v) {
        return simd::from_finite(v) * kConst(0.5) * (kConst(1) + simd::erf(v * kConst(std::numbers::sqrt2 / 2)));
      });
    case UnaryOp::kGeluTanh:
      return run([=](V v) {
        const V inner = kConst(std::numbers::sqrt2 * std::numbers::inv_sqrtpi) * (v + kConst(0.044715) * v * v * v);
        return kConst(0.5) * simd::from_finite(v) * (kConst(1) + simd::tanh(inner));
      });
    default:
      return false;
  }
}

template bool activation_unary<float>(UnaryOp, const Tensor&, const Tensor&);
template bool activation_unary<double>(UnaryOp, const Tensor&, const Tensor&);

}  // namespace tapewire::kernels
