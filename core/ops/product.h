#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// Matrix products; operands are of one floating (or integer) dtype.

/// [m, k] x [k, n] -> [m, n].
Tensor mm(const Tensor& x, const Tensor& mat2);
/// [b, m, k] x [b, k, n] -> [b, m, n].
Tensor bmm(const Tensor& x, const Tensor& mat2);
/// torch.matmul: vectors, matrices and broadcast batches of matrices.
Tensor matmul(const Tensor& x, const Tensor& other);
/// x [*, in] times weight [out, in] transposed, plus bias [out] (may be undefined) -> [*, out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace tapewire
