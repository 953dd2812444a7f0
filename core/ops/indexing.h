#pragma once

#include <span>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"
#include "core/tensor/value.h"

namespace tapewire {

/// x[...] as in Python.
///
/// An index tensor holds int64 or int32, where negative ones count from the end, or is a mask: bool (or uint8), of the
/// sizes of the dimensions it stands for, meaning the indices at which it is true. Index tensors broadcast together;
/// their dimensions stand where the first of them does if they are neighbours, else in front.

struct IndexPutAttrs {
  bool accumulate = false;
  static constexpr auto fields() {
    return std::tuple{field("accumulate", &IndexPutAttrs::accumulate, "add to what stands there, every time")};
  }
};

/// Whether an index tensor of that dtype is a mask.
constexpr bool is_mask(DType dtype) { return dtype == DType::kBool || dtype == DType::kUInt8; }

/// x[index]: an int, a slice, none (a new dimension), "..." (as many dimensions as are left), a bool, an index tensor
/// or list, or a tuple of such. Without index tensors and lists the result is a view. Also items of a tuple or dict.
Value getitem(const Value& x, const Value& index);
Tensor getitem(const Tensor& x, const Value& index);

/// The elements that index tensors choose, the i-th for dimension i; an undefined one means all of it.
/// "index 7 is out of bounds for dimension 0 with size 5".
Tensor index(const Tensor& x, std::span<const Tensor> indices);
/// x with `values`, broadcast, where index(x, indices) reads; of several for one place the last stays, or with
/// `accumulate` all are added.
Tensor index_put(const Tensor& x, std::span<const Tensor> indices, const Tensor& values, bool accumulate = false);
Tensor index_put_(const Tensor& x, std::span<const Tensor> indices, const Tensor& values, bool accumulate = false);
/// The elements where `mask` (bool) is true, in one dimension; both broadcast.
Tensor masked_select(const Tensor& x, const Tensor& mask);

}  // namespace tapewire
