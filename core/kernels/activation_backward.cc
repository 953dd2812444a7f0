#include "core/kernels/activation_backward.h"

#include <numbers>

#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"

namespace tapewire::kernels {
namespace {

template <class V>
V logistic(V x) {
  return simd::sigmoid(x);
}

// Those of whole vectors: they need exp, erf or tanh.
template <class T>
bool smooth_backward(SlopeOp op, const Tensor& grad, const Tensor& saved, double a, double b, const Tensor& out) {
  using V = simd::Vec<T>;
  const auto run = [&](auto slope) {
    elementwise<T, T, T>(
        kHeavyGrain, out,
        [&](int64_t n, T* to, const T* g, const T* from) {
          simd::map<T>(n, to, g, from, [&](V grads, V v) { return grads * slope(v); });
        },
        grad, saved);
    return true;
  };
  constexpr auto kConst = [](double c) { return simd::splat(static_cast<T>(c)); };
  const V va = kConst(a);
  const V vb = kConst(b);
  switch (op) {
    case SlopeOp::kSilu:
      return run([=](V from) {
        const V x = simd::in_reach(from);
        const V s = logistic(x);
        return s * (kConst(1) + x * (kConst(1) - s));
      });
    case SlopeOp::kMish:
      return run([=](V from) {
        const V x = simd::in_reach(from);
        const V t = simd::tanh(simd::softplus(x));
        return t + x * logistic(x) * (kConst(1) - t * t);
      });
    case SlopeOp::kGelu:
      return run([=](V from) {
        const V x = simd::in_reach(from);
        const V below = kConst(0.5) * (kConst(1) + simd::erf(x * kConst(std::numbers::sqrt2 / 2)));
        const V density = simd::exp(x * x * kConst(-0.5)) * kConst(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
        return below + x * density;
      });
    case SlopeOp::kGeluTanh:
      return run([=](V from) {
        const V x = simd::in_reach(from);
        const V scale = kConst(std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
        const V t = simd::tanh(scale * (x + kConst(0.044715) * x * x * x));
        const V inner_slope = scale * (kConst(1) + kConst(3 * 0.044715) * x * x);
        return kConst(0.5) * (kConst(1) + t + x * (kConst(1) - t * t) * inner_slope);
      });
    case SlopeOp::kLogsigmoid:
      return run([](V x) { return logistic(-x); });
    case SlopeOp::kElu:
      return run([=](V x) { return x <= kConst(0) ? va * simd::exp(x) : vb; });
    case SlopeOp::kCelu:
      return run([=](V x) { return x <= kConst(0) ? simd::exp(x / va) : kConst(1); });
    case SlopeOp::kSoftplus:
      return run([=](V x) { return x * va > vb ? kConst(1) : logistic(x * va); });
    default:
      return false;
  }
}

template <class T>
void simple_backward(SlopeOp op, const Tensor& grad, const Tensor& saved, double a, double b, const Tensor& out) {
  const auto run = [&](auto f) { map<T, T, T>(kLightGrain, out, f, grad, saved); };
  const T ta = static_cast<T>(a);
  const T tb = static_cast<T>(b);
  switch (op) {
    case SlopeOp::kSigmoid:
      return run([](T g, T y) { return g * ((T{1} - y) * y); });
    case SlopeOp::kTanh:
      return run([](T g, T y) { return g * (T{1} - y * y); });
    case SlopeOp::kHardsigmoid:
      return run([](T g, T x) {
        constexpr T kSlope = static_cast<T>(kHardsigmoidSlope);
        return ((x > T{-3}) & (x < T{3})) ? g * kSlope : T{0};
      });
    case SlopeOp::kHardswish:
      return run([](T g, T x) {
        const T inside = g * (x / T{3} + T{0.5});
        return x <= T{-3} ? T{0} : x < T{3} ? inside : g;
      });
    case SlopeOp::kLeakyRelu:
      return run([ta](T g, T x) { return x > T{0} ? g : g * ta; });
    case SlopeOp::kHardtanh:
      return run([ta, tb](T g, T x) { return ((x <= ta) | (x >= tb)) ? T{0} : g; });
    case SlopeOp::kShrink:
      return run([ta](T g, T x) { return ((x >= -ta) & (x <= ta)) ? T{0} : g; });
    default:
      fail_internal("activation_backward: no such function");
  }
}

}  // namespace

void activation_backward(SlopeOp op, const Tensor& grad, const Tensor& saved, double a, double b, const Tensor& out) {
  dispatch_floating("activation_backward", out.dtype(), [&]<class T>(TypeTag<T>) {
    if (!smooth_backward<T>(op, grad, saved, a, b, out)) simple_backward<T>(op, grad, saved, a, b, out);
  });
}

}  // namespace tapewire::kernels
