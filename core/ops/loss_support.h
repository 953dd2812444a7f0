#pragma once

#include "core/ops/loss.h"
#include "core/ops/reduction.h"

namespace tapewire {

/// What the families of losses share.

/// The losses' mean or sum, or they themselves.
inline Tensor reduce_losses(const Tensor& losses, Reduction reduction) {
  if (reduction == Reduction::kMean) return mean(losses);
  return reduction == Reduction::kSum ? sum(losses) : losses;
}

}  // namespace tapewire
