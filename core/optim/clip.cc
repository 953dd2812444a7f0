#include "core/optim/clip.h"

#include <cmath>
#include <limits>

#include "core/autograd/meta.h"
#include "core/base/cancel.h"
#include "core/base/error.h"
#include "core/kernels/binary.h"
#include "core/kernels/reduce.h"
#include "core/kernels/ternary.h"
#include "core/tensor/value.h"

namespace tapewire {
namespace {

std::vector<Tensor> gradients(std::span<const NamedTensor> parameters) {
  std::vector<Tensor> out;
  for (const NamedTensor& p : parameters) {
    if (Tensor grad = gradient(p.tensor); grad.defined()) out.push_back(std::move(grad));
  }
  return out;
}

// Makes the copies of bytes that others share before the first write: after that nothing can fail, under a
// CancelScope(nullptr).
void prepare_writes(const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) tensor.mutable_raw_data();
}

// The norm of the norms.
double norm_of(const std::vector<Tensor>& grads, double norm_type) {
  if (std::isnan(norm_type)) fail("grad_norm: norm_type must be a number, got nan");
  if (grads.empty()) return 0;
  if (norm_type == 2) {
    double sum = 0;
    for (const Tensor& grad : grads) sum += kernels::sum_of_squares(grad);
    return std::sqrt(sum);
  }
  std::vector<double> norms;
  for (const Tensor& grad : grads) {
    const Tensor norm = Tensor::empty({}, grad.dtype());
    kernels::vector_norm(grad, norm_type, {}, norm);
    norms.push_back(norm.item<double>());
  }
  const Tensor all = Tensor::of<double>(norms, Shape{static_cast<int64_t>(norms.size())});
  const Tensor total = Tensor::empty({}, DType::kFloat64);
  kernels::vector_norm(all, norm_type, {}, total);
  return total.item<double>();
}

}  // namespace

double grad_norm(std::span<const NamedTensor> parameters, double norm_type) {
  return norm_of(gradients(parameters), norm_type);
}

double clip_grad_norm(std::span<const NamedTensor> parameters, double max_norm, double norm_type,
                      bool error_if_nonfinite) {
  if (!(max_norm >= 0)) fail("clip_grad_norm: max_norm must not be negative, got ", Value(max_norm).repr());
  const std::vector<Tensor> grads = gradients(parameters);
  const double norm = norm_of(grads, norm_type);
  if (error_if_nonfinite && !std::isfinite(norm)) {
    fail_precondition(
        "The total norm of order ", Value(norm_type).repr(),
        " for gradients from `parameters` is non-finite, so it cannot be clipped. To disable this error and "
        "scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`");
  }
  const double factor = max_norm / (norm + 1e-6);
  if (factor >= 1) return norm;
  prepare_writes(grads);
  check_cancelled();
  const CancelScope shield(nullptr);
  for (const Tensor& grad : grads) {
    kernels::binary(kernels::BinaryOp::kMul, grad, Tensor::scalar(factor, grad.dtype()), grad);
    grad.storage().bump_version();
  }
  return norm;
}

void clip_grad_value(std::span<const NamedTensor> parameters, double clip_value) {
  if (!(clip_value >= 0)) fail("clip_grad_value: clip_value must not be negative, got ", Value(clip_value).repr());
  const std::vector<Tensor> grads = gradients(parameters);
  prepare_writes(grads);
  check_cancelled();
  const CancelScope shield(nullptr);
  for (const Tensor& grad : grads) {
    kernels::clamp(grad, Scalar(-clip_value), Scalar(clip_value), grad);
    grad.storage().bump_version();
  }
}

}  // namespace tapewire
