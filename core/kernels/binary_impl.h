#pragma once

#include "core/kernels/binary.h"

namespace tapewire::kernels {

/// The functions of binary() that only floats have, or that floats compute another way than integers.
template <class T>
void floating_binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out);
template <class T>
void integer_binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& out);

}  // namespace tapewire::kernels
