#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// The values of x as they are now, without history, for use by other threads: shares the bytes where x is all of its
/// storage (a later write to x then copies them first), else copies them.
Tensor frozen(const Tensor& x);

}  // namespace tapewire
