#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// beta * x + alpha * a product; x broadcasts to the product, and all are of one dtype, floating or integer (addr: also
/// bool). With beta 0, x is not looked at. For integers beta and alpha are
/// cut to whole numbers; addr wants them whole. `name_` is the in-place form.

struct ProductSumAttrs {
  Scalar beta = 1;
  Scalar alpha = 1;
  static constexpr auto fields() {
    return std::tuple{field("beta", &ProductSumAttrs::beta, "factor of input"),
                      field("alpha", &ProductSumAttrs::alpha, "factor of the product")};
  }
};

/// x + mat1 [m, k] times mat2 [k, n].
Tensor addmm(const Tensor& x, const Tensor& mat1, const Tensor& mat2, const ProductSumAttrs& attrs = {});
/// x + mat [m, k] times vec [k].
Tensor addmv(const Tensor& x, const Tensor& mat, const Tensor& vec, const ProductSumAttrs& attrs = {});
/// x + vec1 [m] by vec2 [n], [m, n]; dtypes promote.
Tensor addr(const Tensor& x, const Tensor& vec1, const Tensor& vec2, const ProductSumAttrs& attrs = {});
/// x + batch1 [b, m, k] times batch2 [b, k, n], of each.
Tensor baddbmm(const Tensor& x, const Tensor& batch1, const Tensor& batch2, const ProductSumAttrs& attrs = {});
/// The same products summed over the batch: [m, n].
Tensor addbmm(const Tensor& x, const Tensor& batch1, const Tensor& batch2, const ProductSumAttrs& attrs = {});

}  // namespace tapewire
