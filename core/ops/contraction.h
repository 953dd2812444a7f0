#pragma once

#include <optional>

#include "core/tensor/attributes.h"

namespace tapewire {

/// Products of vectors and tensors, made of products of matrices; operands are of one dtype, floating or integer,
/// unless said otherwise.

/// torch.tensordot's dims: how many of the last and first dimensions are contracted, or which of each operand.
struct ContractedDims {
  std::optional<int64_t> count = 2;
  Shape a;  // when there is no count
  Shape b;

  friend bool operator==(const ContractedDims&, const ContractedDims&) = default;
};
template <>
struct AttributeType<ContractedDims> {
  static constexpr std::string_view kName = "int or two ints";
  static ContractedDims from(const Value& v);
  static Value to(const ContractedDims& v);
};
struct TensordotAttrs {
  ContractedDims dims;
  static constexpr auto fields() {
    return std::tuple{field("dims", &TensordotAttrs::dims,
                            "so many of a's last and b's first dimensions, or two lists: a's and b's")};
  }
};

/// [m, k] x [k] -> [m].
Tensor mv(const Tensor& x, const Tensor& vec);
/// [n] x [n] -> 0-d; vdot is the same for real numbers.
Tensor dot(const Tensor& x, const Tensor& tensor);
/// The sum over the last dimension of both: [*a, k] x [*b, k] -> [*a, *b]; a 0-d operand multiplies.
Tensor inner(const Tensor& x, const Tensor& other);
/// [m] x [n] -> [m, n]; any dtypes.
Tensor outer(const Tensor& x, const Tensor& vec2);
/// Kronecker's product: every element of x times all of `other`; any dtypes.
Tensor kron(const Tensor& x, const Tensor& other);
/// The sum over pairs of dimensions; the others follow, a's first.
Tensor tensordot(const Tensor& a, const Tensor& b, const TensordotAttrs& attrs = {});

}  // namespace tapewire
