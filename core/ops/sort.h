#pragma once

#include <utility>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Elements in order along one dimension. NaN counts as the largest.

struct SortAttrs {
  int64_t dim = -1;
  bool descending = false;
  bool stable = false;
  static constexpr auto fields() {
    return std::tuple{field("dim", &SortAttrs::dim, "dimension to sort along"),
                      field("descending", &SortAttrs::descending, "the largest first"),
                      field("stable", &SortAttrs::stable, "equal elements keep their order")};
  }
};
struct TopkAttrs {
  int64_t k = 1;
  int64_t dim = -1;
  bool largest = true;
  bool sorted = true;
  static constexpr auto fields() {
    return std::tuple{required_field("k", &TopkAttrs::k, "how many"),
                      field("dim", &TopkAttrs::dim, "dimension to look along"),
                      field("largest", &TopkAttrs::largest, "False: the smallest"),
                      field("sorted", &TopkAttrs::sorted, "in order; here they always are")};
  }
};

/// Values in order and where they stood (int64).
std::pair<Tensor, Tensor> sort(const Tensor& x, const SortAttrs& attrs = {});
/// The k first of them. "selected index k out of range" when there are fewer.
std::pair<Tensor, Tensor> topk(const Tensor& x, const TopkAttrs& attrs);

}  // namespace tapewire
