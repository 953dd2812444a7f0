#pragma once

#include <functional>
#include <string>

#include "core/tensor/tensor.h"

namespace tapewire {

/// A function to check: tensors in, tensors out, the same for the same inputs. One that draws random numbers seeds its
/// generator itself (GeneratorScope) on every call.
using GradcheckFunction = std::function<Tensors(const Tensors&)>;

/// torch.autograd.gradcheck's settings and their defaults.
struct GradcheckOptions {
  double eps = 1e-6;  // step of the central differences
  double atol = 1e-5;
  double rtol = 1e-3;
  /// The most that two backward passes over one tape may differ by.
  double nondet_tol = 0;
  /// Undefined output gradients must give undefined or zero input gradients.
  bool check_undefined_grad = true;
  /// Strided output gradients must give what row-major ones give; gradgradcheck takes strided ones throughout.
  bool noncontiguous_grads = true;
};

/// What a check found. `message` is empty when all is well; else it names the output and input by index, the element
/// where they differ most, and both values.
struct GradcheckResult {
  bool ok = true;
  std::string message;

  explicit operator bool() const { return ok; }
};

/// Compares the Jacobian that backward gives, one row an output element, with central differences:
/// torch.autograd.gradcheck. Inputs that require a gradient must be float64 leaves without overlapping elements; the
/// others are passed as they are. An output that needs no gradient must not depend on them. Throws INVALID_ARGUMENT for
/// inputs it cannot check; errors of `fn` pass through. The inputs' data are changed during the check and put back.
GradcheckResult gradcheck(const GradcheckFunction& fn, const Tensors& inputs, const GradcheckOptions& options = {});

/// The same for the gradients of `fn`, as functions of its inputs and of the output gradients. `grad_outputs` are
/// float64 leaves that require gradients, one a differentiable output; without any, fixed random ones are made.
GradcheckResult gradgradcheck(const GradcheckFunction& fn, const Tensors& inputs, const Tensors& grad_outputs = {},
                              const GradcheckOptions& options = {});

}  // namespace tapewire
