#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// Trigonometric and hyperbolic functions, elementwise, in radians, named and defined as in PyTorch (tanh is in
/// activation.h). Integers become float32; NaN outside a function's domain.

Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
/// The angle of the point (x, y), -pi to pi; broadcast.
Tensor atan2(const Tensor& y, const Tensor& x);
/// sqrt(x ** 2 + other ** 2) without overflow; floats only, broadcast.
Tensor hypot(const Tensor& x, const Tensor& other);

}  // namespace tapewire
