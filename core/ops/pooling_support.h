#pragma once

#include <string_view>

#include "core/base/error.h"
#include "core/kernels/pool.h"
#include "core/ops/shape_ops.h"

namespace tapewire {

/// What max and average pooling share.

/// A window's attribute with one number a spatial dimension; a single one serves all.
inline Shape window_sizes(std::string_view op, const char* name, const Shape& given, size_t spatial) {
  if (given.size() != 1 && given.size() != spatial) {
    fail(op, ": ", name, " must either be a single int, or a tuple of ", spatial, " ints, got ", to_string(given));
  }
  return given.size() == 1 ? Shape(spatial, given[0]) : given;
}

/// The window of a pooling, checked. No stride, or an empty one, is the kernel size.
kernels::PoolParams window_of(std::string_view op, const Shape& kernel, const std::optional<Shape>& stride,
                              const Shape& padding, const Shape& dilation, size_t spatial);

/// [N, C, *pooled] for input [N, C, *]: ATen's pooling_output_shape.
Shape pooled_sizes(std::string_view op, Ints sizes, const kernels::PoolParams& window, bool ceil_mode);

/// Calls f with x [N, C, *], whether the batch dimension is there or not, and takes it off all results again. Refuses
/// other dimensions, and empty ones other than the batch.
template <class F>
Tensors pooled_batch(std::string_view op, const Tensor& x, int64_t spatial, const F& f) {
  bool fits = x.dim() == spatial + 1 || x.dim() == spatial + 2;
  for (int64_t d = x.dim() - spatial - 1; fits && d < x.dim(); ++d) fits = x.size(d) > 0;
  if (!fits) {
    fail(op, ": Expected ", spatial + 1, "D or ", spatial + 2,
         "D (batch mode) tensor with optional 0 dim batch size for input, but got: ", to_string(x.sizes()));
  }
  if (x.dim() == spatial + 2) return f(x);
  Tensors out = f(unsqueeze(x, 0));
  for (Tensor& y : out) y = squeeze(y, 0);
  return out;
}

}  // namespace tapewire
