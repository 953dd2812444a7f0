#pragma once

#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Views of a part of a tensor. An in-place change of one is a change of what it is a view of.

struct SelectAttrs {
  int64_t dim = 0;
  int64_t index = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &SelectAttrs::dim, "the dimension that goes"),
                      required_field("index", &SelectAttrs::index, "which of its slices; negative from the end")};
  }
};
struct SliceAttrs {
  int64_t dim = 0;
  std::optional<int64_t> start;
  std::optional<int64_t> end;
  int64_t step = 1;
  static constexpr auto fields() {
    return std::tuple{field("dim", &SliceAttrs::dim, "the dimension to cut"),
                      field("start", &SliceAttrs::start, "first index; none: 0; clamped as in Python"),
                      field("end", &SliceAttrs::end, "the index after the last; none: the size"),
                      field("step", &SliceAttrs::step, "every step-th; positive")};
  }
};
struct DiagonalAttrs {
  int64_t offset = 0;
  int64_t dim1 = 0;
  int64_t dim2 = 1;
  static constexpr auto fields() {
    return std::tuple{field("offset", &DiagonalAttrs::offset, "0: the main one; positive above, negative below"),
                      field("dim1", &DiagonalAttrs::dim1, "the rows"),
                      field("dim2", &DiagonalAttrs::dim2, "the columns")};
  }
};
struct UnfoldAttrs {
  int64_t dimension = 0;
  int64_t size = 1;
  int64_t step = 1;
  static constexpr auto fields() {
    return std::tuple{required_field("dimension", &UnfoldAttrs::dimension, "along which windows are taken"),
                      required_field("size", &UnfoldAttrs::size, "elements of a window"),
                      required_field("step", &UnfoldAttrs::step, "from one window to the next")};
  }
};

/// Slice `index` of dimension `dim`, without that dimension; "index 5 out of range for tensor of size ...".
Tensor select(const Tensor& x, int64_t dim, int64_t index);
/// x[start:end:step] of dimension dim.
Tensor slice(const Tensor& x, const SliceAttrs& attrs);
/// `length` slices of dimension `dim` from `start` (negative: from the end) on; "start (4) + length (3) exceeds ...".
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
/// The diagonals of the matrices in dim1 and dim2, as a last dimension.
Tensor diagonal(const Tensor& x, const DiagonalAttrs& attrs = {});
/// Windows along a dimension (Tensor.unfold); their elements are a last dimension. They overlap when step < size.
Tensor unfold(const Tensor& x, const UnfoldAttrs& attrs);

}  // namespace tapewire
