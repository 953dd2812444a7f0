#pragma once

#include <cstdint>

#include "core/tensor/tensor.h"

namespace tapewire::kernels {

/// One step of torch.optim.SGD on one parameter.
struct SgdStep {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;
  bool first_step = false;  // the momentum buffer becomes the gradient itself
};

/// Updates `param` and, with momentum, `momentum_buffer` (else undefined) in one pass. All of one shape and dtype,
/// float32 or float64.
void sgd_step(const Tensor& param, const Tensor& grad, const Tensor& momentum_buffer, const SgdStep& step);

/// One step of torch.optim.Adam, or of AdamW when decoupled, on one parameter.
struct AdamStep {
  int64_t step = 1;  // counts from 1
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;
  bool maximize = false;
};

/// Updates `param`, `exp_avg`, `exp_avg_sq` and, where defined (amsgrad), `max_exp_avg_sq` in one pass.
void adam_step(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_avg_sq,
               const Tensor& max_exp_avg_sq, const AdamStep& step);

}  // namespace tapewire::kernels
