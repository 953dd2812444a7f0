#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Ops that move or re-read elements. Those said to be views share storage and version counter with their input.

struct ShapeAttrs {
  Shape shape;
  static constexpr auto fields() {
    return std::tuple{required_field("shape", &ShapeAttrs::shape, "sizes; one may be -1")};
  }
};
struct SizeAttrs {
  Shape size;
  static constexpr auto fields() {
    return std::tuple{required_field("size", &SizeAttrs::size, "sizes; -1 keeps a dimension's")};
  }
};
struct FlattenAttrs {
  int64_t start_dim = 0;
  int64_t end_dim = -1;
  static constexpr auto fields() {
    return std::tuple{field("start_dim", &FlattenAttrs::start_dim, "first dimension to flatten"),
                      field("end_dim", &FlattenAttrs::end_dim, "last dimension to flatten")};
  }
};
struct TransposeAttrs {
  int64_t dim0 = 0;
  int64_t dim1 = 1;
  static constexpr auto fields() {
    return std::tuple{required_field("dim0", &TransposeAttrs::dim0, "first dimension"),
                      required_field("dim1", &TransposeAttrs::dim1, "second dimension")};
  }
};
struct DimsAttrs {
  Shape dims;
  static constexpr auto fields() { return std::tuple{required_field("dims", &DimsAttrs::dims, "the new order")}; }
};
struct DimAttrs {
  int64_t dim = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &DimAttrs::dim, "dimension; negative from the end")};
  }
};
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

/// A view of other sizes; throws where a copy would be needed. reshape copies then.
Tensor view(const Tensor& x, Ints sizes);
Tensor reshape(const Tensor& x, Ints sizes);
inline Tensor view(const Tensor& x, std::initializer_list<int64_t> s) { return view(x, Ints(s.begin(), s.size())); }
inline Tensor reshape(const Tensor& x, std::initializer_list<int64_t> s) {
  return reshape(x, Ints(s.begin(), s.size()));
}
/// Dimensions start_dim..end_dim become one.
Tensor flatten(const Tensor& x, const FlattenAttrs& attrs = {});
/// Views: expand repeats one-long dimensions with stride 0.
Tensor expand(const Tensor& x, Ints sizes);
inline Tensor expand(const Tensor& x, std::initializer_list<int64_t> s) { return expand(x, Ints(s.begin(), s.size())); }
Tensor expand_as(const Tensor& x, const Tensor& other);
Tensor permute(const Tensor& x, Ints dims);
inline Tensor permute(const Tensor& x, std::initializer_list<int64_t> d) {
  return permute(x, Ints(d.begin(), d.size()));
}
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
/// Of a matrix; vectors and scalars stay.
Tensor t(const Tensor& x);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor squeeze(const Tensor& x, std::optional<int64_t> dim = {});
/// A view of all of x with a history of its own.
Tensor view_as_self(const Tensor& x);
Tensor as_strided(const Tensor& x, const AsStridedAttrs& attrs);

/// A copy with history.
Tensor clone(const Tensor& x);
/// x itself when row-major, else a copy.
Tensor contiguous(const Tensor& x);
/// x itself when of that dtype, else converted.
Tensor to(const Tensor& x, DType dtype);
/// Sums over broadcast dimensions until x has `sizes`.
Tensor sum_to(const Tensor& x, Ints sizes);

}  // namespace tapewire
