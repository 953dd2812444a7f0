#include "core/kernels/unary.h"

#include <cmath>
#include <iterator>
#include <limits>

#include "core/kernels/copy.h"
#include "core/kernels/unary_impl.h"

namespace tapewire::kernels {
namespace {

// In the order of UnaryOp.
constexpr std::string_view kNames[] = {
    "neg",        "abs",     "sign",       "square", "relu",  "relu6",    "floor",       "ceil",      "round",
    "trunc",      "frac",    "exp",        "exp2",   "expm1", "log",      "log2",        "log10",     "log1p",
    "sqrt",       "rsqrt",   "reciprocal", "sin",    "cos",   "tan",      "asin",        "acos",      "atan",
    "sinh",       "cosh",    "tanh",       "asinh",  "acosh", "atanh",    "sigmoid",     "erf",       "erfc",
    "lgamma",     "digamma", "selu",       "silu",   "mish",  "softsign", "hardsigmoid", "hardswish", "logsigmoid",
    "tanhshrink", "gelu",    "gelu",       "isnan",  "isinf", "isfinite", "logical_not"};
static_assert(std::size(kNames) == static_cast<size_t>(UnaryOp::kLogicalNot) + 1);

// Those that integers have too, and the cheap ones of floats alone.
template <class T>
bool arithmetic(UnaryOp op, const Tensor& x, const Tensor& out) {
  const auto run = [&](auto f) {
    map<T, T>(kLightGrain, out, f, x);
    return true;
  };
  switch (op) {
    case UnaryOp::kNeg:
      if constexpr (std::is_floating_point_v<T>) return run([](T a) { return -a; });
      return run([](T a) { return subtract(T{0}, a); });
    case UnaryOp::kSign:
      return run([](T a) { return static_cast<T>((a > T{0}) - (a < T{0})); });
    case UnaryOp::kSquare:
      return run([](T a) { return multiply(a, a); });
    case UnaryOp::kRelu:
      return run([](T a) { return a < T{0} ? T{0} : a; });
    case UnaryOp::kRelu6:
      return run([](T a) { return a < T{0} ? T{0} : a > T{6} ? T{6} : a; });
    default:
      break;
  }
  if constexpr (std::is_floating_point_v<T>) {
    switch (op) {
      case UnaryOp::kAbs:
        return run([](T a) { return std::fabs(a); });
      case UnaryOp::kFloor:
        return run([](T a) { return std::floor(a); });
      case UnaryOp::kCeil:
        return run([](T a) { return std::ceil(a); });
      case UnaryOp::kRound:
        return run([](T a) { return std::nearbyint(a); });
      case UnaryOp::kTrunc:
        return run([](T a) { return std::trunc(a); });
      case UnaryOp::kFrac:
        return run([](T a) { return a - std::trunc(a); });
      case UnaryOp::kSqrt:
        return run([](T a) { return std::sqrt(a); });
      case UnaryOp::kRsqrt:
        return run([](T a) { return T{1} / std::sqrt(a); });
      case UnaryOp::kReciprocal:
        return run([](T a) { return T{1} / a; });
      case UnaryOp::kSoftsign:
        return run([](T a) {
          const T size = std::fabs(a);
          return size > std::numeric_limits<T>::max() ? std::copysign(T{1}, a) : a / (T{1} + size);
        });
      case UnaryOp::kHardsigmoid:
        return run([](T a) {
          const T shifted = a + T{3};
          return (shifted < T{0} ? T{0} : shifted > T{6} ? T{6} : shifted) / T{6};
        });
      case UnaryOp::kHardswish:
        return run([](T a) {
          const T shifted = a + T{3};
          // 0 at -infinity too.
          const T least = std::numeric_limits<T>::lowest();
          return (a < least ? least : a) * (shifted < T{0} ? T{0} : shifted > T{6} ? T{6} : shifted) / T{6};
        });
      default:
        return false;
    }
  } else {
    switch (op) {
      case UnaryOp::kAbs:
        if constexpr (std::is_same_v<T, uint8_t>) {
          copy(x, out);
          return true;
        } else {
          return run([](T a) { return a < 0 ? subtract(T{0}, a) : a; });
        }
      case UnaryOp::kFloor:
      case UnaryOp::kCeil:
      case UnaryOp::kRound:
      case UnaryOp::kTrunc:
        copy(x, out);
        return true;
      default:
        return false;
    }
  }
}

template <class T>
void test(UnaryOp op, const Tensor& x, const Tensor& out) {
  const auto run = [&](auto f) { map<bool, T>(kLightGrain, out, f, x); };
  if (op == UnaryOp::kLogicalNot) return run([](T a) { return a == T{0}; });
  if constexpr (std::is_floating_point_v<T>) {
    constexpr T kMax = std::numeric_limits<T>::max();
    if (op == UnaryOp::kIsnan) return run([](T a) { return a != a; });
    if (op == UnaryOp::kIsinf) return run([](T a) { return std::fabs(a) > kMax; });
    return run([](T a) { return std::fabs(a) <= kMax; });
  } else {
    fill(out, op == UnaryOp::kIsfinite);
  }
}

}  // namespace

void unary(UnaryOp op, const Tensor& x, const Tensor& out) {
  if (op == UnaryOp::kIsnan || op == UnaryOp::kIsinf || op == UnaryOp::kIsfinite || op == UnaryOp::kLogicalNot) {
    return dispatch_all(x.dtype(), [&]<class T>(TypeTag<T>) { test<T>(op, x, out); });
  }
  const std::string_view name = kNames[static_cast<size_t>(op)];
  if (op == UnaryOp::kSign && x.dtype() == DType::kBool) return copy(x, out);
  dispatch_numeric(name, x.dtype(), [&]<class T>(TypeTag<T>) {
    if (arithmetic<T>(op, x, out)) return;
    if constexpr (std::is_floating_point_v<T>) {
      if (exponential_unary<T>(op, x, out) || trigonometric_unary<T>(op, x, out) || activation_unary<T>(op, x, out)) {
        return;
      }
      fail_internal("unary: no such function");
    } else {
      fail(name, ": expects float32 or float64, got ", name_of(x.dtype()));
    }
  });
}

void unary_attr(UnaryAttrOp op, const Tensor& x, double a_, double b_, const Tensor& out) {
  // In the order of UnaryAttrOp.
  constexpr std::string_view kAttrNames[] = {"leaky_relu", "elu", "celu", "softplus", "softshrink", "hardshrink"};
  static_assert(std::size(kAttrNames) == static_cast<size_t>(UnaryAttrOp::kHardshrink) + 1);
  dispatch_floating(kAttrNames[static_cast<size_t>(op)], x.dtype(), [&]<class T>(TypeTag<T>) {
    const T a = static_cast<T>(a_);
    const T b = static_cast<T>(b_);
    const auto run = [&](auto f) { map<T, T>(kLightGrain, out, f, x); };
    switch (op) {
      case UnaryAttrOp::kLeakyRelu:
        return run([a](T v) { return v > T{0} ? v : v * a; });
      case UnaryAttrOp::kSoftshrink:
        return run([a](T v) { return v > a ? v - a : v < -a ? v + a : v * T{0}; });
      case UnaryAttrOp::kHardshrink:
        return run([a](T v) { return v >= -a && v <= a ? T{0} : v; });
      case UnaryAttrOp::kElu:
        return simd_unary<T>(
            x, out, [a](simd::Vec<T> v) { return v > simd::splat(T{0}) ? v : simd::splat(a) * simd::expm1(v); });
      case UnaryAttrOp::kCelu:
        return simd_unary<T>(x, out, [a](simd::Vec<T> v) {
          return v > simd::splat(T{0}) ? v : simd::splat(a) * simd::expm1(v / simd::splat(a));
        });
      case UnaryAttrOp::kSoftplus:
        return simd_unary<T>(x, out, [a, b](simd::Vec<T> v) {
          const simd::Vec<T> scaled = v * simd::splat(a);
          return scaled > simd::splat(b) ? v : simd::log1p(simd::exp(scaled)) / simd::splat(a);
        });
    }
    fail_internal("unary_attr: no such function");
  });
}

void threshold(const Tensor& x, const Scalar& threshold, const Scalar& value, const Tensor& out) {
  dispatch_numeric("threshold", x.dtype(), [&]<class T>(TypeTag<T>) {
    const T edge = threshold.to<T>();
    const T below = value.to<T>();
    map<T, T>(kLightGrain, out, [=](T v) { return v <= edge ? below : v; }, x);
  });
}

void round(const Tensor& x, int64_t decimals, const Tensor& out) {
  dispatch_floating("round", x.dtype(), [&]<class T>(TypeTag<T>) {
    const T scale = static_cast<T>(std::pow(10.0, std::abs(static_cast<double>(decimals))));
    if (decimals < 0) {
      map<T, T>(kLightGrain, out, [scale](T v) { return std::nearbyint(v / scale) * scale; }, x);
    } else {
      map<T, T>(kLightGrain, out, [scale](T v) { return std::nearbyint(v * scale) / scale; }, x);
    }
  });
}

void nan_to_num(const Tensor& x, double nan, double posinf, double neginf, const Tensor& out) {
  if (!is_floating(x.dtype())) return copy(x, out);
  dispatch_floating("nan_to_num", x.dtype(), [&]<class T>(TypeTag<T>) {
    const T n = static_cast<T>(nan);
    const T p = static_cast<T>(posinf);
    const T m = static_cast<T>(neginf);
    constexpr T kMax = std::numeric_limits<T>::max();
    map<T, T>(kLightGrain, out, [=](T v) { return v != v ? n : v > kMax ? p : v < -kMax ? m : v; }, x);
  });
}

}  // namespace tapewire::kernels
