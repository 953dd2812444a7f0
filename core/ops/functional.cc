#include "core/ops/functional.h"

#include <string_view>

#include "core/autograd/engine.h"
#include "core/autograd/grad_mode.h"
#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/ops/join.h"
#include "core/ops/shape_ops.h"

namespace tapewire {
namespace {

// The inputs to differentiate by: tensors of their own, which lead back to the caller's when the result is recorded.
Tensors separated(const Tensors& inputs, bool create_graph) {
  Tensors out;
  for (const Tensor& x : inputs) {
    out.push_back(create_graph && x.requires_grad() ? view_as_self(x) : set_requires_grad(detach(x)));
  }
  return out;
}

Tensors call(std::string_view name, const TensorFunction& fn, const Tensors& inputs, bool strict) {
  Tensors outputs = fn(inputs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].defined() || !is_floating(outputs[i].dtype())) {
      fail(name, ": output ", i, " of the function must be a floating tensor, got ",
           outputs[i].defined() ? to_string(outputs[i].spec()) : "none");
    }
    if (strict && !outputs[i].requires_grad()) {
      fail(name, ": Output ", i,
           " of the user-provided function does not require gradients. The outputs must be computed in a "
           "differentiable manner from the input when running in strict mode.");
    }
  }
  return outputs;
}

// `v`, checked against what it is multiplied with, or 1 for a lone element.
Tensors directions(std::string_view name, const Tensors& v, const Tensors& like, std::string_view what) {
  if (v.empty() && like.size() == 1 && like[0].numel() == 1) {
    return {Tensor::full(like[0].sizes(), 1, like[0].dtype())};
  }
  if (v.size() != like.size())
    fail(name, ": v must have one tensor for each ", what, ": ", like.size(), ", got ", v.size());
  for (size_t i = 0; i < v.size(); ++i) {
    if (v[i].dtype() != like[i].dtype() || v[i].sizes() != like[i].sizes()) {
      fail(name, ": v[", i, "] must be ", to_string(like[i].spec()), " as the ", what, ", got ",
           to_string(v[i].spec()));
    }
  }
  return v;
}

// grad() over the outputs that have a history; undefined where there is none.
Tensors gradients(const Tensors& outputs, const Tensors& inputs, const Tensors& v, bool create_graph) {
  std::vector<Tensor> roots;
  std::vector<Tensor> weights;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].defined() || !outputs[i].requires_grad()) continue;
    roots.push_back(outputs[i]);
    weights.push_back(v[i]);
  }
  if (roots.empty()) return Tensors(inputs.size());
  return grad(roots, inputs, weights, {.retain_graph = true, .create_graph = create_graph, .allow_unused = true});
}

// Zeros for what does not depend; an error where that is not allowed.
Tensors filled(std::string_view name, Tensors derivative, const Tensors& like, std::string_view what, bool strict) {
  for (size_t i = 0; i < derivative.size(); ++i) {
    if (derivative[i].defined()) continue;
    if (strict) {
      fail(name, ": The output of the user-provided function is independent of ", what, " ", i,
           ". This is not allowed in strict mode.");
    }
    derivative[i] = Tensor::zeros(like[i].sizes(), like[i].dtype());
  }
  return derivative;
}

Tensors finished(Tensors tensors, bool create_graph) {
  if (create_graph) return tensors;
  for (Tensor& x : tensors) x = detach(x);
  return tensors;
}

// Zeros but for a 1 at element i.
Tensor one_hot(const Tensor& like, int64_t i) {
  Tensor out = Tensor::zeros(like.sizes(), like.dtype());
  dispatch_floating("jacobian", out.dtype(), [&]<class T>(TypeTag<T>) { out.mutable_data<T>()[i] = 1; });
  return out;
}

Tensor require_scalar(std::string_view name, const Tensors& outputs) {
  if (outputs.size() != 1 || outputs[0].numel() != 1) {
    fail(name, ": the function must return one tensor with one element, got ", outputs.size(), " tensors",
         outputs.size() == 1 ? str_cat(", the one of sizes ", to_string(outputs[0].sizes())) : "");
  }
  return outputs[0];
}

}  // namespace

Directional vjp(const TensorFunction& fn, const Tensors& inputs, const Tensors& v, const FunctionalOptions& options) {
  const GradModeGuard recording(true);
  const Tensors at = separated(inputs, options.create_graph);
  Tensors outputs = call("vjp", fn, at, options.strict);
  const Tensors weights = directions("vjp", v, outputs, "output");
  Tensors derivative =
      filled("vjp", gradients(outputs, at, weights, options.create_graph), at, "input", options.strict);
  return {finished(std::move(outputs), options.create_graph), finished(std::move(derivative), options.create_graph)};
}

Directional jvp(const TensorFunction& fn, const Tensors& inputs, const Tensors& v, const FunctionalOptions& options) {
  const GradModeGuard recording(true);
  const Tensors weights = directions("jvp", v, inputs, "input");
  const Tensors at = separated(inputs, options.create_graph);
  Tensors outputs = call("jvp", fn, at, options.strict);
  // The vjp is linear in what it is given; differentiating it by that in direction v gives the jvp.
  Tensors probes;
  for (const Tensor& y : outputs) probes.push_back(set_requires_grad(Tensor::zeros(y.sizes(), y.dtype())));
  const Tensors back = filled("jvp", gradients(outputs, at, probes, true), at, "input", options.strict);
  Tensors derivative = filled("jvp", gradients(back, probes, weights, options.create_graph), outputs, "output", false);
  return {finished(std::move(outputs), options.create_graph), finished(std::move(derivative), options.create_graph)};
}

Directional hvp(const TensorFunction& fn, const Tensors& inputs, const Tensors& v, const FunctionalOptions& options) {
  const GradModeGuard recording(true);
  const Tensors weights = directions("hvp", v, inputs, "input");
  const Tensors at = separated(inputs, options.create_graph);
  Tensors outputs = call("hvp", fn, at, options.strict);
  const Tensor one = Tensor::full(require_scalar("hvp", outputs).sizes(), 1, outputs[0].dtype());
  const Tensors slope = filled("hvp", gradients(outputs, at, {one}, true), at, "input", options.strict);
  // The Hessian is symmetric: its product with v is that of v with it.
  Tensors derivative = filled("hvp", gradients(slope, at, weights, options.create_graph), at, "input", options.strict);
  return {finished(std::move(outputs), options.create_graph), finished(std::move(derivative), options.create_graph)};
}

std::vector<std::vector<Tensor>> jacobian(const TensorFunction& fn, const Tensors& inputs,
                                          const FunctionalOptions& options) {
  const GradModeGuard recording(true);
  const Tensors at = separated(inputs, options.create_graph);
  const Tensors outputs = call("jacobian", fn, at, options.strict);
  std::vector<std::vector<Tensor>> out;
  for (const Tensor& y : outputs) {
    std::vector<std::vector<Tensor>> rows(at.size());  // by input, one an element of y
    for (int64_t i = 0; i < y.numel(); ++i) {
      check_cancelled();
      const Tensors row =
          filled("jacobian", gradients({y}, at, {one_hot(y, i)}, options.create_graph), at, "input", options.strict);
      for (size_t j = 0; j < at.size(); ++j) rows[j].push_back(row[j]);
    }
    Tensors blocks;
    for (size_t j = 0; j < at.size(); ++j) {
      Shape sizes = y.sizes();
      sizes.insert(sizes.end(), at[j].sizes().begin(), at[j].sizes().end());
      blocks.push_back(y.numel() == 0 ? Tensor::zeros(sizes, at[j].dtype()) : reshape(stack(rows[j]), sizes));
    }
    blocks = finished(std::move(blocks), options.create_graph);
    out.emplace_back(blocks.begin(), blocks.end());
  }
  return out;
}

std::vector<std::vector<Tensor>> hessian(const TensorFunction& fn, const Tensors& inputs,
                                         const FunctionalOptions& options) {
  // The Jacobian of the gradient.
  const TensorFunction slope = [&](const Tensors& at) {
    const Tensors outputs = call("hessian", fn, at, options.strict);
    const Tensor one = Tensor::full(require_scalar("hessian", outputs).sizes(), 1, outputs[0].dtype());
    return filled("hessian", gradients(outputs, at, {one}, true), at, "input", options.strict);
  };
  return jacobian(slope, inputs, options);
}

}  // namespace tapewire
