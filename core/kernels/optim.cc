#include "core/kernels/optim.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/optim_impl.h"

namespace tapewire::kernels {

void sgd_step(const Tensor& param, const Tensor& grad, const Tensor& momentum_buffer, const SgdStep& step) {
  check_like("sgd_step", param, grad);
  dispatch_floating("sgd_step", param.dtype(), [&]<class T>(TypeTag<T>) {
    const T lr = static_cast<T>(-step.lr);
    const T decay = static_cast<T>(step.weight_decay);
    const T sign = step.maximize ? T{-1} : T{1};
    if (!momentum_buffer.defined()) {
      map<T, T, T>(kLightGrain, param, [=](T p, T g) { return p + lr * (sign * g + decay * p); }, param, grad);
      return;
    }
    check_like("sgd_step", param, momentum_buffer);
    const T momentum = static_cast<T>(step.momentum);
    const T take = static_cast<T>(1 - step.dampening);
    const bool first = step.first_step;
    const bool nesterov = step.nesterov;
    static_cast<void>(grad.data<T>());
    const Tensor* outputs[] = {&param, &momentum_buffer};
    const Tensor* inputs[] = {&grad};
    const auto update = [=](int64_t n, void* const* operands) {
      T* p = static_cast<T*>(operands[0]);
      T* b = static_cast<T*>(operands[1]);
      const T* g = static_cast<const T*>(operands[2]);
      TW_INDEPENDENT
      for (int64_t i = 0; i < n; ++i) {
        const T d = sign * g[i] + decay * p[i];
        const T buffer = first ? d : momentum * b[i] + take * d;
        const T direction = nesterov ? d + momentum * buffer : buffer;
        b[i] = buffer;
        p[i] += lr * direction;
      }
    };
    for_each_run(outputs, inputs, kLightGrain, update, /*updates=*/true);
  });
}

void adam_step(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_avg_sq,
               const Tensor& max_exp_avg_sq, const AdamStep& step) {
  check_like("adam_step", param, grad);
  check_like("adam_step", param, exp_avg);
  check_like("adam_step", param, exp_avg_sq);
  const bool amsgrad = max_exp_avg_sq.defined();
  if (amsgrad) check_like("adam_step", param, max_exp_avg_sq);
  dispatch_floating("adam_step", param.dtype(), [&]<class T>(TypeTag<T>) {
    const double count = static_cast<double>(step.step);
    const T size = static_cast<T>(-step.lr / (1 - std::pow(step.beta1, count)));
    const T root = static_cast<T>(std::sqrt(1 - std::pow(step.beta2, count)));
    const T eps = static_cast<T>(step.eps);
    const T sign = step.maximize ? T{-1} : T{1};
    const T shrink = static_cast<T>(step.decoupled ? 1 - step.lr * step.weight_decay : 1.0);
    const T decay = static_cast<T>(step.decoupled ? 0 : step.weight_decay);
    const T weight1 = static_cast<T>(1 - step.beta1);
    const T beta2 = static_cast<T>(step.beta2);
    const T weight2 = static_cast<T>(1 - step.beta2);
    static_cast<void>(grad.data<T>());
    const Tensor* outputs[] = {&param, &exp_avg, &exp_avg_sq, &max_exp_avg_sq};
    const Tensor* inputs[] = {&grad};
    const size_t states = amsgrad ? 4 : 3;
    const auto update = [=](int64_t n, void* const* operands) {
      T* p = static_cast<T*>(operands[0]);
      T* m = static_cast<T*>(operands[1]);
      T* v = static_cast<T*>(operands[2]);
      const T* g = static_cast<const T*>(operands[states]);
      T* most = amsgrad ? static_cast<T*>(operands[3]) : nullptr;
      const auto advance = [&]<bool kAmsgrad>() {
        TW_INDEPENDENT
        for (int64_t i = 0; i < n; ++i) {
          const T kept = p[i] * shrink;
          const T d = sign * g[i] + decay * kept;
          const T mean = m[i] + weight1 * (d - m[i]);
          const T square = beta2 * v[i] + weight2 * (d * d);
          T bound = square;
          if constexpr (kAmsgrad) most[i] = bound = most[i] > square ? most[i] : square;
          m[i] = mean;
          v[i] = square;
          p[i] = kept + size * mean / (std::sqrt(bound) / root + eps);
        }
      };
      amsgrad ? advance.template operator()<true>() : advance.template operator()<false>();
    };
    for_each_run(std::span(outputs, states), inputs, kLightGrain, update, /*updates=*/true);
  });
}

}  // namespace tapewire::kernels
