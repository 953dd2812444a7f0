#pragma once

#include "core/tensor/tensor.h"

// Steps of the optimizers that scale each element by the history of its squared gradient, on one parameter, one pass
// each. The tensors are of one shape and dtype, float32 or float64.
namespace tapewire::kernels {

/// One step of torch.optim.Adagrad; `lr` is the decayed rate.
struct AdagradStep {
  double lr = 1e-2;
  double eps = 1e-10;
  double weight_decay = 0;
  bool maximize = false;
};

/// Updates `param` and `sum`, that of the squared gradients.
void adagrad_step(const Tensor& param, const Tensor& grad, const Tensor& sum, const AdagradStep& step);

/// One step of torch.optim.Adadelta.
struct AdadeltaStep {
  double lr = 1;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;
};

/// Updates `param`, `square_avg` of the gradients and `acc_delta` of the updates.
void adadelta_step(const Tensor& param, const Tensor& grad, const Tensor& square_avg, const Tensor& acc_delta,
                   const AdadeltaStep& step);

/// One step of torch.optim.RMSprop.
struct RmspropStep {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool maximize = false;
};

/// Updates `param`, `square_avg` and, where defined, `grad_avg` (centered) and `momentum_buffer` (with momentum).
void rmsprop_step(const Tensor& param, const Tensor& grad, const Tensor& square_avg, const Tensor& grad_avg,
                  const Tensor& momentum_buffer, const RmspropStep& step);

}  // namespace tapewire::kernels
