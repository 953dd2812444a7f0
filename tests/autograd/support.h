#pragma once

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/autograd/engine.h"
#include "core/autograd/meta.h"
#include "core/base/error.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// The message of the Error that f throws, or "no error".
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

/// A float64 vector that gradients accumulate in.
inline Tensor leaf(std::initializer_list<double> values) { return set_requires_grad(Tensor::of<double>(values)); }
inline Tensor leaf(std::initializer_list<double> values, std::initializer_list<int64_t> sizes) {
  return set_requires_grad(Tensor::of<double>(values, sizes));
}

/// None of an undefined tensor, so that a test fails where a gradient is missing, and does not crash.
inline std::vector<double> values(const Tensor& x) {
  return x.defined() ? x.to_vector<double>() : std::vector<double>();
}

/// The name of the node that made x.
inline std::string made_by(const Tensor& x) {
  const Ref<Node> node = grad_fn(x);
  return node ? node->name() : "";
}

}  // namespace tapewire
