#pragma once

#include <array>
#include <cmath>
#include <utility>

#include "core/kernels/elementwise_impl.h"

// For the .cc files of optimizer steps.
namespace tapewire::kernels {

/// Throws INTERNAL unless `other` has the parameter's shape and dtype.
inline void check_like(const char* op, const Tensor& param, const Tensor& other) {
  if (other.sizes() == param.sizes() && other.dtype() == param.dtype()) return;
  fail_internal(op, ": parameter ", to_string(param.spec()), " with ", to_string(other.spec()));
}

namespace detail {

// The operands are the parameter, its states and the gradient.
template <class T, class F, size_t... I>
void update_run(const F& f, int64_t n, void* const* operands, std::index_sequence<I...>) {
  T* const param = static_cast<T*>(operands[0]);
  const std::array<T*, sizeof...(I)> states{static_cast<T*>(operands[1 + I])...};
  const T* const grad = static_cast<const T*>(operands[1 + sizeof...(I)]);
  TW_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) f(param[i], grad[i], states[I][i]...);
}

}  // namespace detail

/// One pass over a parameter: f(T& param, T grad, T&... states) for each element, vectorised by the compiler. All of
/// one shape and of dtype T.
template <class T, class F, class... States>
void update_pass(const char* op, const Tensor& param, const Tensor& grad, const F& f, const States&... states) {
  check_like(op, param, grad);
  (check_like(op, param, states), ...);
  static_cast<void>(grad.data<T>());
  const std::array<const Tensor*, 1 + sizeof...(States)> outputs{&param, &states...};
  const std::array<const Tensor*, 1> inputs{&grad};
  for_each_run(
      outputs, inputs, kLightGrain,
      [&f](int64_t n, void* const* operands) {
        detail::update_run<T>(f, n, operands, std::index_sequence_for<States...>{});
      },
      /*updates=*/true);
}

/// What an update rule starts from: the gradient, turned for maximize, and weight decay, taken off the parameter itself
/// when decoupled and added to the gradient otherwise.
template <class T>
struct Decay {
  Decay(double lr, double weight_decay, bool decoupled, bool maximize)
      : sign(maximize ? T{-1} : T{1}),
        shrink(static_cast<T>(decoupled ? 1 - lr * weight_decay : 1.0)),
        penalty(static_cast<T>(decoupled ? 0.0 : weight_decay)) {}

  /// Shrinks the parameter and gives the gradient to go by.
  T operator()(T& param, T grad) const {
    param *= shrink;
    return sign * grad + penalty * param;
  }

  T sign;
  T shrink;
  T penalty;
};

}  // namespace tapewire::kernels
