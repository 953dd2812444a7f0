#pragma once

#include <optional>

#include "core/tensor/tensor.h"

namespace tapewire {

/// The larger and the smaller of operands, elementwise; operands broadcast and promote.

/// The larger (smaller) of two; NaN wins; equal ones share the gradient evenly.
Tensor maximum(const Tensor& x, const Tensor& other);
Tensor minimum(const Tensor& x, const Tensor& other);
/// The same, but NaN loses; of equal ones the first gets the gradient.
Tensor fmax(const Tensor& x, const Tensor& other);
Tensor fmin(const Tensor& x, const Tensor& other);

/// min(max(x, min), max). Either bound may be undefined, not both; NaN in any operand is the result. An edge itself
/// passes the gradient to x; with min > max all are max.
Tensor clamp(const Tensor& x, const Tensor& min, const Tensor& max);
Tensor clamp(const Tensor& x, const std::optional<Scalar>& min, const std::optional<Scalar>& max = {});
/// clamp with one bound.
Tensor clamp_min(const Tensor& x, const Tensor& min);
Tensor clamp_max(const Tensor& x, const Tensor& max);
inline Tensor clamp_min(const Tensor& x, const Scalar& min) { return clamp_min(x, Tensor::wrapped(min)); }
inline Tensor clamp_max(const Tensor& x, const Scalar& max) { return clamp_max(x, Tensor::wrapped(max)); }

}  // namespace tapewire
