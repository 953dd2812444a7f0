#pragma once

#include <initializer_list>
#include <string>

#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/nn/module.h"

namespace tapewire {

/// A float64 leaf that wants a gradient.
inline NamedTensor parameter(std::string name, std::initializer_list<double> values) {
  const Tensor tensor = Tensor::of<double>(values);
  set_requires_grad(tensor);
  return {std::move(name), tensor};
}

inline void give_gradient(const NamedTensor& p, std::initializer_list<double> values) {
  set_gradient(p.tensor, Tensor::of<double>(values));
}

/// The message that `f` throws; "" when it does not.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

}  // namespace tapewire
