#include "core/kernels/optim_moments.h"

#include <cmath>

#include "core/kernels/optim_impl.h"

namespace tapewire::kernels {
namespace {

// 1 - beta^step: what a running average that began with zeros is to be divided by.
double bias_correction(double beta, int64_t step) { return 1 - std::pow(beta, static_cast<double>(step)); }

// The running averages of the gradient and of its square.
template <class T>
struct Moments {
  explicit Moments(const MomentStep& step)
      : weight1(static_cast<T>(1 - step.beta1)),
        beta2(static_cast<T>(step.beta2)),
        weight2(static_cast<T>(1 - step.beta2)) {}

  void operator()(T grad, T& mean, T& square) const {
    mean += weight1 * (grad - mean);
    square = beta2 * square + weight2 * (grad * grad);
  }

  T weight1;
  T beta2;
  T weight2;
};

// How far RAdam trusts its second moment at a step; 0 while too few gradients were seen for it.
double rectification(double beta2, int64_t step) {
  const double longest = 2 / (1 - beta2) - 1;
  const double count = static_cast<double>(step);
  const double length = longest - 2 * count * std::pow(beta2, count) / bias_correction(beta2, step);
  if (!(length > 5)) return 0;
  return std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
}

}  // namespace

void adamax_step(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_inf,
                 const MomentStep& step) {
  dispatch_floating("adamax_step", param.dtype(), [&]<class T>(TypeTag<T>) {
    const Decay<T> decay(step.lr, step.weight_decay, false, step.maximize);
    const T weight1 = static_cast<T>(1 - step.beta1);
    const T beta2 = static_cast<T>(step.beta2);
    const T eps = static_cast<T>(step.eps);
    const T size = static_cast<T>(-step.lr / bias_correction(step.beta1, step.step));
    const auto update = [=](T& p, T g, T& mean, T& largest) {
      const T d = decay(p, g);
      mean += weight1 * (d - mean);
      const T faded = beta2 * largest;
      const T now = std::abs(d) + eps;
      largest = faded > now || faded != faded ? faded : now;  // a NaN stays
      p += size * mean / largest;
    };
    update_pass<T>("adamax_step", param, grad, update, exp_avg, exp_inf);
  });
}

double nadam_momentum(double beta1, double momentum_decay, int64_t step) {
  return beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(step) * momentum_decay));
}

void nadam_step(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_avg_sq,
                double momentum_decay, double mu_product, const MomentStep& step) {
  const double now = nadam_momentum(step.beta1, momentum_decay, step.step);
  const double next = nadam_momentum(step.beta1, momentum_decay, step.step + 1);
  dispatch_floating("nadam_step", param.dtype(), [&]<class T>(TypeTag<T>) {
    const Decay<T> decay(step.lr, step.weight_decay, step.decoupled, step.maximize);
    const Moments<T> moments(step);
    const T correction = static_cast<T>(bias_correction(step.beta2, step.step));
    const T eps = static_cast<T>(step.eps);
    const T grad_size = static_cast<T>(-step.lr * (1 - now) / (1 - mu_product));
    const T mean_size = static_cast<T>(-step.lr * next / (1 - mu_product * next));
    const auto update = [=](T& p, T g, T& mean, T& square) {
      const T d = decay(p, g);
      moments(d, mean, square);
      const T scale = std::sqrt(square / correction) + eps;
      p += grad_size * d / scale;
      p += mean_size * mean / scale;
    };
    update_pass<T>("nadam_step", param, grad, update, exp_avg, exp_avg_sq);
  });
}

void radam_step(const Tensor& param, const Tensor& grad, const Tensor& exp_avg, const Tensor& exp_avg_sq,
                const MomentStep& step) {
  const double trust = rectification(step.beta2, step.step);
  dispatch_floating("radam_step", param.dtype(), [&]<class T>(TypeTag<T>) {
    const Decay<T> decay(step.lr, step.weight_decay, step.decoupled, step.maximize);
    const Moments<T> moments(step);
    const T correction = static_cast<T>(bias_correction(step.beta1, step.step));
    const T root = static_cast<T>(std::sqrt(bias_correction(step.beta2, step.step)));
    const T eps = static_cast<T>(step.eps);
    const T lr = static_cast<T>(step.lr);
    const T rectified = static_cast<T>(trust);
    const auto adaptive = [=](T& p, T g, T& mean, T& square) {
      moments(decay(p, g), mean, square);
      p -= mean / correction * lr * (root / (std::sqrt(square) + eps)) * rectified;
    };
    const auto plain = [=](T& p, T g, T& mean, T& square) {
      moments(decay(p, g), mean, square);
      p -= mean / correction * lr;
    };
    if (trust > 0) {
      update_pass<T>("radam_step", param, grad, adaptive, exp_avg, exp_avg_sq);
    } else {
      update_pass<T>("radam_step", param, grad, plain, exp_avg, exp_avg_sq);
    }
  });
}

}  // namespace tapewire::kernels
