#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// Products of matrices; operands are of one dtype, floating or integer.

/// [m, k] x [k, n] -> [m, n].
Tensor mm(const Tensor& x, const Tensor& mat2);
/// [b, m, k] x [b, k, n] -> [b, m, n].
Tensor bmm(const Tensor& x, const Tensor& mat2);
/// torch.matmul: vectors, matrices and broadcast batches of matrices.
Tensor matmul(const Tensor& x, const Tensor& other);
/// x [*, in] times weight [out, in] transposed, plus bias [out] (may be undefined) -> [*, out].
/// A weight [in] has a 0-d bias and gives [*].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
/// x1 [*, i] and x2 [*, j] through weight [out, i, j], plus bias [out] (may be undefined) -> [*, out].
Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias = {});

}  // namespace tapewire
