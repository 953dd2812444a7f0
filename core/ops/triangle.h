#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// What stands on, above or below the diagonals of matrices.

struct TriangleAttrs {
  int64_t diagonal = 0;
  static constexpr auto fields() {
    return std::tuple{
        field("diagonal", &TriangleAttrs::diagonal, "0: the main one; positive above it, negative below")};
  }
};

/// The matrices (the last two dimensions) with zeros above the diagonal; triu below it.
Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);
Tensor tril_(const Tensor& x, int64_t diagonal = 0);
Tensor triu_(const Tensor& x, int64_t diagonal = 0);
/// Of a vector the matrix with it on the diagonal and zeros elsewhere; of a matrix a copy of the diagonal.
Tensor diag(const Tensor& x, int64_t diagonal = 0);
/// The sum of a matrix's main diagonal.
Tensor trace(const Tensor& x);

}  // namespace tapewire
