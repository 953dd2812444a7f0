#pragma once

#include "core/base/scalar.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

// Indices are int64. One out of range throws "index 7 is out of bounds for dimension 0 with size 5" and leaves outputs
// in an unspecified state. Any dtype unless said.

/// out[i][j] = x[index[i][j]][j] (for dim 0); `out` has index's shape.
void gather(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& out);
/// dst[index[i][j]][j] = src[i][j]; with several for one place the last in row-major order stays.
void scatter(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src);
/// dst[index[i][j]][j] += src[i][j].
void scatter_add(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src);

/// dst[index[i][j]][j] *= src[i][j], a number's `and` for bool.
void scatter_multiply(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src);

/// Slices of x along `dim` at index [n] (negative ones are out of range).
void index_select(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& out);
/// dst's slice at index[i] gets alpha * src's slice i added.
void index_add(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src, const Scalar& alpha);

/// dst's slice at index[i] becomes src's slice i; of several for one place the last stays.
void index_copy(const Tensor& dst, int64_t dim, const Tensor& index, const Tensor& src);
/// All of dst's slices at index [n] become the number; negative indices count from the end.
void index_fill(const Tensor& dst, int64_t dim, const Tensor& index, const Scalar& value);

/// mask ? value : x, broadcast to the shape of `out`; `mask` is bool.
void masked_fill(const Tensor& x, const Tensor& mask, const Scalar& value, const Tensor& out);

/// Rows of table [rows, width] for index [*]: out is [*, width].
void embedding(const Tensor& table, const Tensor& index, const Tensor& out);
/// The gradient for the table; rows chosen by `padding_idx` (-1: none) get none. grad_table is overwritten.
void embedding_backward(const Tensor& grad, const Tensor& index, int64_t padding_idx, const Tensor& grad_table);

/// Negative log likelihood. log_probs is [N, C, *], target int64 [N, *] with classes in [0, C) or `ignore_index`;
/// weight [C] may be undefined; float32 and float64. out[n,*] = -weight[t] * log_probs[n,t,*], 0 where ignored.
/// `total_weight`, 0-d, may be undefined: the sum of weight[t] over what is not ignored. "Target 12 is out of bounds."
void nll_forward(const Tensor& log_probs, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                 const Tensor& out, const Tensor& total_weight);
/// grad_log_probs[n,t,*] = -weight[t] * grad[n,*] (grad broadcasts: a 0-d one serves all), elsewhere 0.
void nll_backward(const Tensor& grad, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                  const Tensor& grad_log_probs);
/// The reduced forms in one pass: out (0-d) = sum of nll_forward; divided by total_weight when `mean`.
void nll_forward_reduced(const Tensor& log_probs, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                         bool mean, const Tensor& out, const Tensor& total_weight);

}  // namespace tapewire::kernels
