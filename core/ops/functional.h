#pragma once

#include <functional>
#include <vector>

#include "core/tensor/tensor.h"

namespace tapewire {

/// Derivatives of functions of tensors, as torch.autograd.functional gives them. Inputs may be any floating tensors;
/// the function is called on copies of their handles, and their own grad is left alone. Errors name the function and
/// the input or output by index.

/// Tensors in, floating tensors out.
using TensorFunction = std::function<Tensors(const Tensors& inputs)>;

struct FunctionalOptions {
  /// Record the result, so that it can be differentiated by the inputs.
  bool create_graph = false;
  /// An error, rather than zeros, where an output does not depend on an input.
  bool strict = false;
};

/// A function's outputs, and their derivative in a direction.
struct Directional {
  Tensors outputs;
  Tensors derivative;
};

/// The vector-Jacobian product: for each input, the sum over outputs of v · d output / d input. `v` has one tensor an
/// output, of its sizes; it may be left out for a lone output of one element, where it is 1.
Directional vjp(const TensorFunction& fn, const Tensors& inputs, const Tensors& v = {},
                const FunctionalOptions& options = {});

/// The Jacobian-vector product: for each output, the sum over inputs of d output / d input · v, by a backward over a
/// backward. `v` has one tensor an input, of its sizes; it may be left out for a lone input of one element.
Directional jvp(const TensorFunction& fn, const Tensors& inputs, const Tensors& v = {},
                const FunctionalOptions& options = {});

/// The Hessian of a function with one output of one element, times v: one tensor an input.
Directional hvp(const TensorFunction& fn, const Tensors& inputs, const Tensors& v = {},
                const FunctionalOptions& options = {});

/// d output i / d input j at [i][j], of the output's sizes followed by the input's.
std::vector<std::vector<Tensor>> jacobian(const TensorFunction& fn, const Tensors& inputs,
                                          const FunctionalOptions& options = {});

/// d^2 output / d input i d input j at [i][j] for one output of one element, of the sizes of i followed by those of j.
std::vector<std::vector<Tensor>> hessian(const TensorFunction& fn, const Tensors& inputs,
                                         const FunctionalOptions& options = {});

}  // namespace tapewire
