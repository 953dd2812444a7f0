#pragma once

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/kernels/copy.h"
#include "core/ops/op.h"

namespace tapewire {

/// What reductions share.

/// The dimensions an attribute means, wrapped: none or an empty list means all.
inline Shape dims_of(std::string_view op, const std::optional<Shape>& dim, int64_t rank) {
  return wrap_dims(op, dim ? Ints(*dim) : Ints(), rank);
}

inline int64_t count_reduced(Ints sizes, Ints dims) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= sizes[static_cast<size_t>(d)];
  return count;
}

/// One dimension as a list for the kernels; a 0-d tensor has none, and an empty list means all to them.
inline Shape one_dim(std::string_view op, int64_t dim, int64_t rank) {
  const int64_t wrapped = wrap_dim(op, dim, rank);
  return rank == 0 ? Shape{} : Shape{wrapped};
}

/// Refuses to reduce nothing where the operation has no identity: PyTorch's zero_numel_check_dims.
inline void check_not_empty(std::string_view op, const std::optional<Shape>& dim, const Spec& x) {
  if (x.numel() > 0) return;
  if (!dim || dim->empty()) {
    fail(op,
         "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' "
         "argument.");
  }
  for (const int64_t d : wrap_dims(op, *dim, x.dim())) {
    if (x.sizes[static_cast<size_t>(d)] == 0) {
      fail(op, "(): Expected reduction dim ", d, " to have non-zero size.");
    }
  }
}

/// x in another dtype, for kernels: nothing is recorded.
inline Tensor converted(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  const Tensor out = Tensor::empty(x.sizes(), dtype);
  kernels::copy(x, out);
  return out;
}

/// What PyTorch calls a dtype in its messages: "Long".
inline std::string_view scalar_type_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "Float";
    case DType::kFloat64:
      return "Double";
    case DType::kInt64:
      return "Long";
    case DType::kInt32:
      return "Int";
    case DType::kUInt8:
      return "Byte";
    case DType::kBool:
      return "Bool";
  }
  return "?";
}

}  // namespace tapewire
