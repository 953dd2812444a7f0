#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Whole slices of one dimension, chosen by a vector of indices (int64 or int32; a 0-d one counts as of one element).
/// Indices are not negative but for index_fill. A 0-d tensor counts as one of one element. "index 7 is out of bounds
/// for dimension 0 with size 5".

struct IndexDimAttrs {
  int64_t dim = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &IndexDimAttrs::dim, "the dimension that is indexed")};
  }
};
struct IndexAddAttrs {
  int64_t dim = 0;
  Scalar alpha = 1;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &IndexAddAttrs::dim, "the dimension that is indexed"),
                      field("alpha", &IndexAddAttrs::alpha, "source is multiplied by it")};
  }
};

struct OneHotAttrs {
  int64_t num_classes = -1;
  static constexpr auto fields() {
    return std::tuple{field("num_classes", &OneHotAttrs::num_classes, "-1: one more than the largest class")};
  }
};

/// The slices of x at `index`, in its order.
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
/// x with alpha * source's slice i added to its slice index[i]; repeated indices add up.
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha = 1);
Tensor index_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, const Scalar& alpha = 1);
/// x with source's slice i in place of its slice index[i]; of several for one place the last stays.
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor index_copy_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
/// x with the 0-d `value` all over its slices at `index`.
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value);
Tensor index_fill_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value);
/// Of int64 classes [*] a 1 at each one's place in zeros [*, num_classes], int64.
Tensor one_hot(const Tensor& classes, int64_t num_classes = -1);

}  // namespace tapewire
