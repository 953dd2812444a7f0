#pragma once

#include <span>

#include "core/nn/module.h"

namespace tapewire {

/// The norm of all gradients of `parameters` taken together; those without one count for nothing. `norm_type` is 2, any
/// other number, or infinity. Accumulated in double.
double grad_norm(std::span<const NamedTensor> parameters, double norm_type = 2);

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), in place, and gives the norm before that
/// (torch.nn.utils.clip_grad_norm_). A norm that is not finite leaves zeros and NaN, or is an error
/// if asked.
double clip_grad_norm(std::span<const NamedTensor> parameters, double max_norm, double norm_type = 2,
                      bool error_if_nonfinite = false);

/// Clamps every gradient to [-clip_value, clip_value], in place (torch.nn.utils.clip_grad_value_).
void clip_grad_value(std::span<const NamedTensor> parameters, double clip_value);

}  // namespace tapewire
