#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

// Steps of Adam's relatives on one parameter, one pass each. The tensors are of one shape and dtype, float32 or
// float64; `step` counts from 1.
namespace tapewire::kernels {

/// What the rules of this page share.
struct MomentStep {
  int64_t step = 1;
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;
  bool maximize = false;
};

/// One step of torch.optim.Adamax, which has no decoupled decay. Updates `param`, `exp_avg` and `exp_inf`.
void adamax_step(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_inf,
                 const MomentStep& step);

/// The momentum of NAdam at a step: beta1 (1 - 0.96^(step momentum_decay) / 2).
double nadam_momentum(double beta1, double momentum_decay, int64_t step);

/// One step of torch.optim.NAdam. `mu_product` is the product of the momenta of all steps, this one included. Updates
/// `param`, `exp_avg` and `exp_avg_sq`.
void nadam_step(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_avg_sq,
                double momentum_decay, double mu_product, const MomentStep& step);

/// One step of torch.optim.RAdam. Updates `param`, `exp_avg` and `exp_avg_sq`.
void radam_step(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_avg_sq,
                const MomentStep& step);

}  // namespace tapewire::kernels
