#pragma once

#include <cmath>
#include <limits>

#include "core/autograd/grad_mode.h"
#include "core/base/error.h"
#include "core/kernels/activation_backward.h"
#include "core/kernels/binary.h"
#include "core/kernels/unary.h"
#include "core/ops/op.h"

namespace tapewire {

/// What elementwise ops share; an op's struct derives from one of these and adds its name, doc, saves and vjp.

/// One input, one output of its shape and dtype; integers become float32.
template <kernels::UnaryOp kOp>
struct FloatUnary {
  using Attrs = NoAttrs;
  static constexpr std::array inputs{input("input")};
  static constexpr auto promotion = Promotion::kFloat;
  static constexpr bool inplace = true;
  static TensorSpecs infer(const Attrs&, Specs in) { return {{in[0].dtype, in[0].shape()}}; }
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::unary(kOp, in[0], out[0]); }
};

/// The same, and integers stay integers.
template <kernels::UnaryOp kOp>
struct NumericUnary : FloatUnary<kOp> {
  static constexpr auto promotion = Promotion::kNone;
};

/// Operands that PyTorch takes as numbers too, on the right alone, or not at all.
inline constexpr std::array kNumberOperands{input("input"), input("other")};
inline constexpr std::array kNumberOnTheRight{input("input").no_number(), input("other")};
inline constexpr std::array kTensorOperands{input("input").no_number(), input("other").no_number()};

/// Two inputs that broadcast and promote to one dtype.
template <kernels::BinaryOp kOp>
struct Binary {
  using Attrs = NoAttrs;
  static constexpr auto inputs = kNumberOperands;
  static constexpr auto promotion = Promotion::kCommon;
  static constexpr bool inplace = true;
  static void eval(const Attrs&, Inputs in, Outputs out) { kernels::binary(kOp, in[0], in[1], out[0]); }
};

/// The spec of a broadcasting op's output. REQUIRES: a common dtype.
inline TensorSpecs broadcast_specs(std::string_view op, Specs in) {
  return {{in[0].dtype, broadcast_shapes(op, in[0].sizes, in[1].sizes)}};
}

inline void check_not_bool(std::string_view op, DType dtype) {
  if (dtype == DType::kBool) fail(op, ": not implemented for dtype bool");
}
inline void check_floating(std::string_view op, DType dtype) {
  if (!is_floating(dtype)) fail(op, ": expects float32 or float64, got ", name_of(dtype));
}

/// Refuses a number that `dtype` cannot hold, as PyTorch's Scalar::to does: past its ends, or NaN for an integer.
inline void check_converts(std::string_view op, const Scalar& number, DType dtype) {
  const double value = number.to<double>();
  const bool fits = dispatch_all(dtype, [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, double>) {
      return true;
    } else if constexpr (std::is_same_v<T, float>) {
      return !(std::abs(value) <= std::numeric_limits<double>::max() &&
               std::abs(value) > static_cast<double>(std::numeric_limits<float>::max()));
    } else if constexpr (std::is_same_v<T, int64_t>) {
      return !number.is_float() || (value >= -0x1p63 && value < 0x1p63);
    } else {
      constexpr auto kMost = static_cast<double>(std::numeric_limits<T>::max());
      constexpr auto kLeast = static_cast<double>(std::numeric_limits<T>::min());
      // Negative integers wrap around where there is no sign.
      const double least = std::is_signed_v<T> ? kLeast : number.is_float() ? 0 : -kMost;
      return value <= kMost && value >= least;
    }
  });
  if (!fits) fail(op, ": value cannot be converted to type ", name_of(dtype), " without overflow");
}

/// The gradient of what is piecewise constant.
inline Tensors zero_gradients(const Vjp& v, size_t inputs = 1) {
  Tensors out(inputs);
  for (size_t i = 0; i < inputs; ++i) {
    if (v.needs(i)) out[i] = Tensor::zeros(v.sizes(i), v.dtype(i));
  }
  return out;
}

/// An activation's gradient: one kernel while nothing is recorded; `composed()` of ops, which have gradients
/// themselves, under create_graph.
template <class F>
Tensor activation_gradient(kernels::SlopeOp op, const Tensor& grad, const Tensor& saved, const F& composed,
                           double a = 0, double b = 0) {
  if (grad_enabled()) return composed();
  const Tensor out = Tensor::empty(saved.sizes(), saved.dtype());
  kernels::activation_backward(op, grad, saved, a, b, out);
  return out;
}

}  // namespace tapewire
