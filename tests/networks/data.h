#pragma once

#include <string>

#include "core/tensor/tensor.h"

namespace tapewire::networks {

struct Batch {
  Tensors inputs;
  Tensor target;
};

/// The batch of a step by one of data.py's recipes ("digits", "strokes", "text", "reversal"), bit for bit; floating
/// tensors are of `dtype`. Throws std::runtime_error for another recipe, and when a file of the source cannot be read.
Batch make_batch(const std::string& recipe, int64_t batch, int64_t step, DType dtype);

}  // namespace tapewire::networks
