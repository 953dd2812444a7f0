#pragma once

#include <optional>

#include "core/tensor/tensor.h"

namespace tapewire::views {

/// The geometry arithmetic behind view ops: each takes where a tensor lies and gives where the view lies. Errors are
/// PyTorch's, with the op's name in front.

/// Fills in a lone -1 so that the sizes hold `numel`; "shape '[2, 3]' is invalid for input of size 5".
Shape infer_size(std::string_view op, Ints sizes, int64_t numel);
/// Strides for `sizes` over the same elements, or none when a copy is needed (ATen's computeStride).
std::optional<Shape> view_strides(const Geometry& from, Ints sizes);
/// Throws "view size is not compatible with input tensor's size and stride ..." where a copy would be needed.
Geometry view(const Geometry& from, Ints sizes);
Geometry permute(const Geometry& from, Ints dims);
Geometry transpose(const Geometry& from, int64_t dim0, int64_t dim1);
/// -1 keeps a dimension's size.
Geometry expand(std::string_view op, const Geometry& from, Ints sizes);
Geometry unsqueeze(const Geometry& from, int64_t dim);
/// Drops dimension `dim` where it is one long, or all such when absent.
Geometry squeeze(const Geometry& from, std::optional<int64_t> dim);
/// The same for several dimensions.
Geometry squeeze(const Geometry& from, Ints dims);
Geometry select(const Geometry& from, int64_t dim, int64_t index);
/// start and end are clamped as Python does. REQUIRES: step >= 1 (checked).
Geometry slice(const Geometry& from, int64_t dim, int64_t start, int64_t end, int64_t step);
/// `length` elements of dimension `dim` from `start` on; all of them must exist.
Geometry narrow(std::string_view op, const Geometry& from, int64_t dim, int64_t start, int64_t length);
/// dim1 and dim2 become one, the last: the elements whose index in dim2 is that in dim1 plus `offset`.
Geometry diagonal(const Geometry& from, int64_t offset, int64_t dim1, int64_t dim2);
/// Windows of `size` elements, `step` apart, along `dim`; the windows' elements become the last dimension.
Geometry unfold(const Geometry& from, int64_t dim, int64_t size, int64_t step);

}  // namespace tapewire::views
