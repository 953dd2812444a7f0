#pragma once

#include <span>
#include <string>

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

struct EinsumAttrs {
  std::string equation;
  static constexpr auto fields() {
    return std::tuple{required_field("equation", &EinsumAttrs::equation, "subscripts of the operands, as 'ij,jk->ik'")};
  }
};

/// torch.einsum: sums of products of the operands' elements, said by subscripts. A letter names a dimension; one that
/// comes twice in an operand takes its diagonal; letters that are not in the output are summed over; '...' stands for
/// the dimensions not named, which broadcast. Without '->' the output has '...' and then the letters that come once, in
/// alphabetical order. Operands are contracted from left to right.
Tensor einsum(const std::string& equation, std::span<const Tensor> operands);

}  // namespace tapewire
