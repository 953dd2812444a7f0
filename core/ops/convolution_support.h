#pragma once

#include <string_view>

#include "core/base/error.h"
#include "core/kernels/conv.h"
#include "core/ops/convolution.h"
#include "core/ops/shape_ops.h"

namespace tapewire {

/// What convolutions and transposed ones share.

/// One number for each spatial dimension, none below `least`; a single one serves all.
inline Shape spread(std::string_view op, const char* name, const Shape& given, size_t spatial, int64_t least) {
  if (given.size() != 1 && given.size() != spatial) {
    fail(op, ": ", name, " must be one int or ", spatial, ", got ", to_string(given));
  }
  Shape out = given.size() == 1 ? Shape(spatial, given[0]) : given;
  for (const int64_t v : out) {
    if (v >= least) continue;
    fail(op, ": ", least > 0 ? "non-positive " : "negative ", name, " is not supported, got ", to_string(given));
  }
  return out;
}

/// How the window slides, checked.
inline kernels::ConvParams params_of(std::string_view op, const ConvAttrs& a, size_t spatial) {
  return {spread(op, "stride", a.stride, spatial, 1), spread(op, "padding", a.padding, spatial, 0),
          spread(op, "dilation", a.dilation, spatial, 1), a.groups};
}

/// Calls f with x [N, C, *], whether the batch dimension N is there or not.
template <class F>
Tensor batched(std::string_view op, const Tensor& x, int64_t spatial, const F& f) {
  if (x.dim() != spatial + 1 && x.dim() != spatial + 2) {
    fail(op, ": Expected ", spatial + 1, "D (unbatched) or ", spatial + 2, "D (batched) input to ", op,
         ", but got input of size: ", to_string(x.sizes()));
  }
  if (x.dim() == spatial + 2) return f(x);
  return squeeze(f(unsqueeze(x, 0)), 0);
}

/// The gradient of a convolution by its input, which has sizes `size`: grad [N, O, *], weight [O, C / groups, *]. The
/// gradient may end before the convolution's output does.
Tensor convolution_backward_input(const Tensor& grad, const Tensor& weight, const ConvAttrs& attrs, Ints size);

}  // namespace tapewire
