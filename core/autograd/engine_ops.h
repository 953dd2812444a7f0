#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// The few differentiable operations that the engine itself needs. The ops room, which comes after this one, provides
/// them before main begins.
struct EngineOps {
  Tensor (*add)(const Tensor& a, const Tensor& b);
  /// a += b, without history.
  void (*accumulate)(const Tensor& a, const Tensor& b);
  Tensor (*clone)(const Tensor& x);
  /// Sums x to a shape that broadcasts to x's.
  Tensor (*sum_to)(const Tensor& x, Ints sizes);
  Tensor (*cast)(const Tensor& x, DType dtype);
  /// A strided view of a row-major x; `geometry.offset` counts from x's first element.
  Tensor (*as_strided)(const Tensor& x, const Geometry& geometry);
  /// Its gradient: grad added into zeros of `sizes` where the view's elements lie.
  Tensor (*as_strided_backward)(const Tensor& grad, const Geometry& geometry, Ints sizes);
  /// A copy of a row-major `base` in which that view holds `src`.
  Tensor (*as_strided_scatter)(const Tensor& base, const Tensor& src, const Geometry& geometry);
  bool (*has_nan)(const Tensor& x);
};

/// Throws INTERNAL when no ops room is linked.
const EngineOps& engine_ops();
/// Called once, while registrations run.
void set_engine_ops(const EngineOps& ops);

}  // namespace tapewire
