#pragma once

#include <initializer_list>
#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Other sizes, or another order of dimensions, for the same elements. All are views (they share storage and version
/// counter with their input), but reshape, flatten and ravel, which copy where the elements do not lie so.

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
struct UnflattenAttrs {
  int64_t dim = 0;
  Shape sizes;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &UnflattenAttrs::dim, "the dimension to split up"),
                      required_field("sizes", &UnflattenAttrs::sizes, "what it becomes; one may be -1")};
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
struct SwapaxesAttrs {
  int64_t axis0 = 0;
  int64_t axis1 = 1;
  static constexpr auto fields() {
    return std::tuple{required_field("axis0", &SwapaxesAttrs::axis0, "first dimension"),
                      required_field("axis1", &SwapaxesAttrs::axis1, "second dimension")};
  }
};
struct DimsAttrs {
  Shape dims;
  static constexpr auto fields() { return std::tuple{required_field("dims", &DimsAttrs::dims, "the new order")}; }
};
struct MovedimAttrs {
  Shape source;
  Shape destination;
  static constexpr auto fields() {
    return std::tuple{required_field("source", &MovedimAttrs::source, "dimensions to move"),
                      required_field("destination", &MovedimAttrs::destination, "where each of them goes")};
  }
};
struct DimAttrs {
  int64_t dim = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &DimAttrs::dim, "dimension; negative from the end")};
  }
};
struct SqueezeAttrs {
  std::optional<Shape> dim;
  static constexpr auto fields() {
    return std::tuple{field("dim", &SqueezeAttrs::dim, "dimensions to drop where they are one long; none: every one")};
  }
};

/// A view of other sizes, of which one may be -1; throws where a copy would be needed. reshape copies then.
Tensor view(const Tensor& x, Ints sizes);
Tensor reshape(const Tensor& x, Ints sizes);
inline Tensor view(const Tensor& x, std::initializer_list<int64_t> s) { return view(x, Ints(s.begin(), s.size())); }
inline Tensor reshape(const Tensor& x, std::initializer_list<int64_t> s) {
  return reshape(x, Ints(s.begin(), s.size()));
}
/// view and reshape to the sizes of `other`.
Tensor view_as(const Tensor& x, const Tensor& other);
Tensor reshape_as(const Tensor& x, const Tensor& other);
/// Dimensions start_dim..end_dim become one; a 0-d tensor becomes 1-d.
Tensor flatten(const Tensor& x, const FlattenAttrs& attrs = {});
/// Dimension `dim` becomes several, whose product it is.
Tensor unflatten(const Tensor& x, int64_t dim, Ints sizes);
/// One dimension of all elements in row-major order.
Tensor ravel(const Tensor& x);

/// Repeats one-long dimensions with stride 0, and adds such in front. The gradient sums over them.
Tensor expand(const Tensor& x, Ints sizes);
inline Tensor expand(const Tensor& x, std::initializer_list<int64_t> s) { return expand(x, Ints(s.begin(), s.size())); }
Tensor expand_as(const Tensor& x, const Tensor& other);
Tensor broadcast_to(const Tensor& x, Ints sizes);

/// Dimension i of the result is dimension dims[i] of x.
Tensor permute(const Tensor& x, Ints dims);
inline Tensor permute(const Tensor& x, std::initializer_list<int64_t> d) {
  return permute(x, Ints(d.begin(), d.size()));
}
/// Two dimensions swapped; swapaxes is NumPy's name for it.
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
Tensor swapaxes(const Tensor& x, int64_t axis0, int64_t axis1);
/// The dimensions `source` go to the places `destination`; the others keep their order.
Tensor movedim(const Tensor& x, Ints source, Ints destination);
/// A matrix transposed; vectors and scalars stay.
Tensor t(const Tensor& x);
/// One more dimension, of size 1, at `dim`.
Tensor unsqueeze(const Tensor& x, int64_t dim);
/// Without `dim` where it is one long; without all such dimensions when it is absent.
Tensor squeeze(const Tensor& x, std::optional<int64_t> dim = {});
/// A view of all of x with a history of its own.
Tensor view_as_self(const Tensor& x);

}  // namespace tapewire
