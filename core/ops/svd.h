#pragma once

#include "core/tensor/tensor.h"

namespace tapewire {

/// x = u diag(s) vh: u [b, m, k], s [b, k] falling, vh [b, k, n], k = min(m, n).
struct ThinSvd {
  Tensor u;
  Tensor s;
  Tensor vh;
};

/// The singular value decomposition of matrices x [b, m, n], as torch.linalg.svd(x, full_matrices=False); floating and
/// finite only. The gradients of u and vh are not defined where singular values are equal.
ThinSvd thin_svd(const Tensor& x);

}  // namespace tapewire
