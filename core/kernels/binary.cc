#include "core/kernels/binary.h"

#include <cmath>
#include <iterator>

#include "core/kernels/binary_impl.h"
#include "core/kernels/elementwise_impl.h"
#include "core/kernels/simd_impl.h"

namespace tapewire::kernels {
namespace {

bool gives_bool(BinaryOp op) { return op >= BinaryOp::kEq; }

template <class T>
void compare(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out) {
  const auto run = [&](auto f) { map<bool, T, T>(kLightGrain, out, f, a, b); };
  switch (op) {
    case BinaryOp::kEq:
      return run([](T x, T y) { return x == y; });
    case BinaryOp::kNe:
      return run([](T x, T y) { return x != y; });
    case BinaryOp::kLt:
      return run([](T x, T y) { return x < y; });
    case BinaryOp::kLe:
      return run([](T x, T y) { return x <= y; });
    case BinaryOp::kGt:
      return run([](T x, T y) { return x > y; });
    case BinaryOp::kGe:
      return run([](T x, T y) { return x >= y; });
    case BinaryOp::kLogicalAnd:
      return run([](T x, T y) { return (x != T{0}) & (y != T{0}); });
    case BinaryOp::kLogicalOr:
      return run([](T x, T y) { return (x != T{0}) | (y != T{0}); });
    default:
      return run([](T x, T y) { return (x != T{0}) != (y != T{0}); });
  }
}

// What every dtype has. False for other functions.
template <class T>
bool arithmetic(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out) {
  const auto run = [&](auto f) {
    map<T, T, T>(kLightGrain, out, f, a, b);
    return true;
  };
  if constexpr (std::is_same_v<T, bool>) {
    switch (op) {
      case BinaryOp::kAdd:
      case BinaryOp::kMaximum:
      case BinaryOp::kFmax:
        return run([](bool x, bool y) { return x | y; });
      case BinaryOp::kMul:
      case BinaryOp::kMinimum:
      case BinaryOp::kFmin:
        return run([](bool x, bool y) { return x & y; });
      case BinaryOp::kSub:
        fail(
            "sub: Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
            "`logical_xor()` operator instead.");
      default:
        return false;
    }
  } else {
    switch (op) {
      case BinaryOp::kAdd:
        return run([](T x, T y) { return add(x, y); });
      case BinaryOp::kSub:
        return run([](T x, T y) { return subtract(x, y); });
      case BinaryOp::kMul:
        return run([](T x, T y) { return multiply(x, y); });
      // A NaN in either is the result; both are spelled so that they vectorise.
      case BinaryOp::kMaximum:
        return run([](T x, T y) {
          const T larger = x > y ? x : y;
          return x != x ? x : larger;
        });
      case BinaryOp::kMinimum:
        return run([](T x, T y) {
          const T smaller = x < y ? x : y;
          return x != x ? x : smaller;
        });
      case BinaryOp::kFmax:
        return run([](T x, T y) { return ((x > y) | (y != y)) ? x : y; });
      case BinaryOp::kFmin:
        return run([](T x, T y) { return ((x < y) | (y != y)) ? x : y; });
      default:
        return false;
    }
  }
}

}  // namespace

std::string_view name_of(BinaryOp op) {
  // In the order of BinaryOp.
  constexpr std::string_view kNames[] = {
      "add",  "sub",  "mul",  "maximum", "minimum", "div",   "div",         "pow",        "remainder",
      "fmod", "fmax", "fmin", "div",     "atan2",   "hypot", "logaddexp",   "logaddexp2", "prelu",
      "eq",   "ne",   "lt",   "le",      "gt",      "ge",    "logical_and", "logical_or", "logical_xor"};
  static_assert(std::size(kNames) == static_cast<size_t>(BinaryOp::kLogicalXor) + 1);
  return kNames[static_cast<size_t>(op)];
}

void binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out) {
  if (gives_bool(op)) {
    return dispatch_all(a.dtype(), [&]<class T>(TypeTag<T>) { compare<T>(op, a, b, out); });
  }
  dispatch_all(a.dtype(), [&]<class T>(TypeTag<T>) {
    if (arithmetic<T>(op, a, b, out)) return;
    if constexpr (std::is_floating_point_v<T>) {
      floating_binary<T>(op, a, b, out);
    } else if constexpr (!std::is_same_v<T, bool>) {
      integer_binary<T>(op, a, b, out);
    } else {
      fail(name_of(op), ": not implemented for dtype bool");
    }
  });
}

void add_scaled(const Tensor& a, const Tensor& b, const Scalar& alpha, const Tensor& out) {
  if (out.dtype() == DType::kBool) {
    const bool taken = alpha.to<bool>();
    map<bool, bool, bool>(kLightGrain, out, [taken](bool x, bool y) { return x | (taken & y); }, a, b);
    return;
  }
  dispatch_numeric("add", a.dtype(), [&]<class T>(TypeTag<T>) {
    const T scale = alpha.to<T>();
    if (scale == T{1}) {
      map<T, T, T>(kLightGrain, out, [](T x, T y) { return add(x, y); }, a, b);
    } else {
      map<T, T, T>(kLightGrain, out, [scale](T x, T y) { return add(x, multiply(scale, y)); }, a, b);
    }
  });
}

}  // namespace tapewire::kernels
