#pragma once

#include "core/tensor/attributes.h"

namespace tapewire {

/// A tensor as an attribute: class weights. A list of numbers stands for one of float32; none is an undefined one, and
/// the default.
template <>
struct AttributeType<Tensor> {
  static constexpr std::string_view kName = "tensor";
  static Tensor from(const Value& v);
  static Value to(const Tensor& v) { return v; }
};
template <>
inline constexpr bool kIsOptional<Tensor> = true;

}  // namespace tapewire
