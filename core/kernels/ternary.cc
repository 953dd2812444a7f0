#include "core/kernels/ternary.h"

#include "core/kernels/elementwise_impl.h"

namespace tapewire::kernels {

void where(const Tensor& cond, const Tensor& a, const Tensor& b, const Tensor& out) {
  dispatch_all(out.dtype(), [&]<class T>(TypeTag<T>) {
    map<T, bool, T, T>(kLightGrain, out, [](bool c, T x, T y) { return c ? x : y; }, cond, a, b);
  });
}

void addcmul(const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value, const Tensor& out) {
  dispatch_numeric("addcmul", x.dtype(), [&]<class T>(TypeTag<T>) {
    const T scale = value.to<T>();
    map<T, T, T, T>(
        kLightGrain, out, [scale](T v, T p, T q) { return add(v, multiply(multiply(scale, p), q)); }, x, a, b);
  });
}

void addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, const Scalar& value, const Tensor& out) {
  dispatch_floating("addcdiv", x.dtype(), [&]<class T>(TypeTag<T>) {
    const T scale = value.to<T>();
    map<T, T, T, T>(kLightGrain, out, [scale](T v, T p, T q) { return v + scale * p / q; }, x, a, b);
  });
}

namespace {

template <class T>
T lerp_one(T a, T b, T weight) {
  const T from_a = a + weight * (b - a);
  const T from_b = b - (b - a) * (T{1} - weight);
  return (weight < T{0} ? -weight : weight) < T{0.5} ? from_a : from_b;
}

}  // namespace

void lerp(const Tensor& a, const Tensor& b, const Tensor& weight, const Tensor& out) {
  dispatch_floating("lerp", a.dtype(), [&]<class T>(TypeTag<T>) {
    map<T, T, T, T>(kLightGrain, out, [](T x, T y, T w) { return lerp_one(x, y, w); }, a, b, weight);
  });
}

void lerp(const Tensor& a, const Tensor& b, double weight, const Tensor& out) {
  dispatch_floating("lerp", a.dtype(), [&]<class T>(TypeTag<T>) {
    const T w = static_cast<T>(weight);
    map<T, T, T>(kLightGrain, out, [w](T x, T y) { return lerp_one(x, y, w); }, a, b);
  });
}

void clamp(const Tensor& x, std::optional<Scalar> low, std::optional<Scalar> high, const Tensor& out) {
  dispatch_numeric("clamp", x.dtype(), [&]<class T>(TypeTag<T>) {
    const T least = low ? low->to<T>() : T{};
    const T most = high ? high->to<T>() : T{};
    if (low && high) {
      map<T, T>(
          kLightGrain, out,
          [=](T v) {
            const T raised = v < least ? least : v;
            return raised > most ? most : raised;
          },
          x);
    } else if (low) {
      map<T, T>(kLightGrain, out, [=](T v) { return v < least ? least : v; }, x);
    } else if (high) {
      map<T, T>(kLightGrain, out, [=](T v) { return v > most ? most : v; }, x);
    } else {
      map<T, T>(kLightGrain, out, [](T v) { return v; }, x);
    }
  });
}

void threshold_backward(const Tensor& grad, const Tensor& x, const Scalar& threshold, const Tensor& out) {
  dispatch_numeric("threshold_backward", grad.dtype(), [&]<class T>(TypeTag<T>) {
    const T edge = threshold.to<T>();
    map<T, T, T>(kLightGrain, out, [edge](T g, T v) { return v <= edge ? T{0} : g; }, grad, x);
  });
}

}  // namespace tapewire::kernels
