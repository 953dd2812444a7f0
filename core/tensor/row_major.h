#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// The same elements, row-major and without history; the tensor itself when it is row-major already. For the edges,
/// where bytes leave the engine; within it kernels::contiguous is faster.
Tensor row_major(const Tensor& tensor);

}  // namespace tapewire
