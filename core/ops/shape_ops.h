#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/ops/view_ops.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Copies, conversions and plain strided views: what the other ops of shape and index rest on.

struct OptionalDimAttrs {
  std::optional<int64_t> dim;
  static constexpr auto fields() { return std::tuple{field("dim", &OptionalDimAttrs::dim, "none: every one")}; }
};
struct ToAttrs {
  DType dtype = DType::kFloat32;
  static constexpr auto fields() { return std::tuple{required_field("dtype", &ToAttrs::dtype, "of the result")}; }
};
struct AsStridedAttrs {
  Shape size;
  Shape stride;
  int64_t storage_offset = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("size", &AsStridedAttrs::size, "sizes of the view"),
                      required_field("stride", &AsStridedAttrs::stride, "strides in elements"),
                      field("storage_offset", &AsStridedAttrs::storage_offset, "elements after input's first")};
  }
};

/// A view with any sizes and strides over a row-major x.
Tensor as_strided(const Tensor& x, const AsStridedAttrs& attrs);

/// A copy with history.
Tensor clone(const Tensor& x);
/// x itself when row-major, else a copy.
Tensor contiguous(const Tensor& x);
/// x itself when of that dtype, else converted.
Tensor to(const Tensor& x, DType dtype);
/// The gradient of a view: `grad` added into zeros of `sizes` at `place`, where the view of a row-major tensor of those
/// sizes lies.
Tensor view_backward(const Tensor& grad, const Geometry& place, Ints sizes);
/// Throws "value cannot be converted to type int32 without overflow" where filling with the number would lose it.
void check_representable(std::string_view op, const Scalar& value, DType dtype);
/// A row-major tensor's geometry.
Geometry row_major(Ints sizes);
/// Sums over broadcast dimensions until x has `sizes`.
Tensor sum_to(const Tensor& x, Ints sizes);

}  // namespace tapewire
