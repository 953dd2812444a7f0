#pragma once

#include <array>
#include <optional>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Reading and writing along one dimension, where each element has an index of its own (int64, not negative). An index
/// has as many dimensions as input and src, and in no other dimension than `dim` more elements than input; a 0-d tensor
/// counts as one of one element. "index 7 is out of bounds for dimension 0 with size 5".

enum class ScatterReduce : uint8_t { kAdd, kMultiply };
template <>
struct EnumNames<ScatterReduce> {
  static constexpr std::array<std::string_view, 2> names{"add", "multiply"};
};

struct GatherAttrs {
  int64_t dim = 0;
  bool sparse_grad = false;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &GatherAttrs::dim, "the dimension that is indexed"),
                      field("sparse_grad", &GatherAttrs::sparse_grad, "for PyTorch's sake; gradients are dense")};
  }
};
struct ScatterAttrs {
  int64_t dim = 0;
  std::optional<ScatterReduce> reduce;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &ScatterAttrs::dim, "the dimension that is indexed"),
                      field("reduce", &ScatterAttrs::reduce, "none: replace; or 'add' or 'multiply'")};
  }
};
struct ScatterAddAttrs {
  int64_t dim = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("dim", &ScatterAddAttrs::dim, "the dimension that is indexed")};
  }
};
struct TakeAlongDimAttrs {
  std::optional<int64_t> dim;
  static constexpr auto fields() {
    return std::tuple{field("dim", &TakeAlongDimAttrs::dim, "the dimension that is indexed; none: of the flat input")};
  }
};

/// out[i][j] = x[index[i][j]][j] for dim 0; of the index's sizes.
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
/// x with src[i][j] at [index[i][j]][j]; of several for one place the last stays. A 0-d src serves every place.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
Tensor scatter_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
/// The same, added to what stands there.
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
Tensor scatter_add_(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
/// gather whose operands broadcast in the other dimensions.
Tensor take_along_dim(const Tensor& x, const Tensor& indices, std::optional<int64_t> dim = {});

}  // namespace tapewire
