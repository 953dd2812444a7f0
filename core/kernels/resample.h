#pragma once

#include <optional>
#include <span>

#include "core/tensor/allocator.h"
#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// How the elements of a resampled dimension follow from those of the original: PyTorch's interpolation modes.
enum class ResampleMode { kNearest, kNearestExact, kLinear, kCubic };

/// One spatial dimension: each of `out` elements is a weighted sum of `taps` elements of the `in` original ones.
struct ResampleDim {
  int64_t in = 1;
  int64_t out = 1;
  int64_t taps = 1;
  CountedVector<int64_t> index;  // out * taps
  CountedVector<double> weight;  // out * taps
};

/// The taps along a dimension. `scale` (out / in, as the user gave it) takes the place of the sizes' ratio where it is
/// defined. `antialias` widens the window when shrinking, for kLinear and kCubic. `single` computes places in float, as
/// PyTorch does for float32. REQUIRES: in >= 1, out >= 1.
ResampleDim resample_dim(ResampleMode mode, int64_t in, int64_t out, bool align_corners, std::optional<double> scale,
                         bool antialias, bool single);

/// x is [*, *spatial] with as many spatial dimensions as there are `dims` (one to three); out is [*, *resampled]. Any
/// numeric dtype where each dimension has one tap, otherwise float32 and float64.
void resample(const Tensor& x, std::span<const ResampleDim> dims, const Tensor& out);
/// The transpose: grad_x is overwritten. float32 and float64.
void resample_backward(const Tensor& grad, std::span<const ResampleDim> dims, const Tensor& grad_x);

}  // namespace tapewire::kernels
