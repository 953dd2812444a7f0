#pragma once

#include <optional>

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// `dims` are the dimensions reduced: wrapped, distinct; none means all. `out` holds one element for each combination of
// the others, in their order, with or without the reduced dimensions kept as ones.

/// Pairwise over vectors. `out` may be wider than x: bool and integers sum to int64; any dtype may sum to a float.
void sum(const Tensor& x, Ints dims, const Tensor& out);
/// The sum over how many there are; NaN of none. float32 and float64.
void mean(const Tensor& x, Ints dims, const Tensor& out);
void prod(const Tensor& x, Ints dims, const Tensor& out);
/// The extreme value; NaN where any is. Throws when a slice is empty.
void amax(const Tensor& x, Ints dims, const Tensor& out);
void amin(const Tensor& x, Ints dims, const Tensor& out);

/// The extreme value along one dimension and where it first stands (int64; the first NaN when there is one).
void max_with_indices(const Tensor& x, int64_t dim, const Tensor& out, const Tensor& indices);
void min_with_indices(const Tensor& x, int64_t dim, const Tensor& out, const Tensor& indices);
/// Where the extreme value first stands, along `dim` or, without one, in row-major order. `out` is int64.
void argmax(const Tensor& x, std::optional<int64_t> dim, const Tensor& out);
void argmin(const Tensor& x, std::optional<int64_t> dim, const Tensor& out);

/// sum((x - mean)^2) / max(0, n - correction), in double; float32 and float64. `mean` may be undefined.
void var(const Tensor& x, Ints dims, double correction, const Tensor& out, const Tensor& mean = {});

/// log(sum(exp(x))), stable; float32 and float64.
void logsumexp(const Tensor& x, Ints dims, const Tensor& out);

/// (sum |x|^p)^(1/p); p may be 0 (how many are not zero), inf or -inf. Accumulated in double; float32 and float64.
void vector_norm(const Tensor& x, double p, Ints dims, const Tensor& out);
/// The sum of all squares, accumulated in double: what a global gradient norm adds up.
double sum_of_squares(const Tensor& x);

/// `out` is bool.
void all(const Tensor& x, Ints dims, const Tensor& out);
void any(const Tensor& x, Ints dims, const Tensor& out);
/// `out` is int64.
void count_nonzero(const Tensor& x, Ints dims, const Tensor& out);

}  // namespace tapewire::kernels
