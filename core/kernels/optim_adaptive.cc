#include "core/kernels/optim_adaptive.h"

#include <cmath>

#include "core/kernels/optim_impl.h"

namespace tapewire::kernels {

void adagrad_step(const Tensor& param, const Tensor& grad, const Tensor& sum, const AdagradStep& step) {
  dispatch_floating("adagrad_step", param.dtype(), [&]<class T>(TypeTag<T>) {
    const Decay<T> decay(step.lr, step.weight_decay, false, step.maximize);
    const T size = static_cast<T>(-step.lr);
    const T eps = static_cast<T>(step.eps);
    const auto update = [=](T& p, T g, T& squares) {
      const T d = decay(p, g);
      squares += d * d;
      p += size * d / (std::sqrt(squares) + eps);
    };
    update_pass<T>("adagrad_step", param, grad, update, sum);
  });
}

void adadelta_step(const Tensor& param, const Tensor& grad, const Tensor& square_avg, const Tensor& acc_delta,
                   const AdadeltaStep& step) {
  dispatch_floating("adadelta_step", param.dtype(), [&]<class T>(TypeTag<T>) {
    const Decay<T> decay(step.lr, step.weight_decay, false, step.maximize);
    const T lr = static_cast<T>(step.lr);
    const T rho = static_cast<T>(step.rho);
    const T weight = static_cast<T>(1 - step.rho);
    const T eps = static_cast<T>(step.eps);
    const auto update = [=](T& p, T g, T& square, T& moved) {
      const T d = decay(p, g);
      square = rho * square + weight * (d * d);
      const T delta = std::sqrt(moved + eps) / std::sqrt(square + eps) * d;
      moved = rho * moved + weight * (delta * delta);
      p -= lr * delta;
    };
    update_pass<T>("adadelta_step", param, grad, update, square_avg, acc_delta);
  });
}

void rmsprop_step(const Tensor& param, const Tensor& grad, const Tensor& square_avg, const Tensor& grad_avg,
                  const Tensor& momentum_buffer, const RmspropStep& step) {
  dispatch_floating("rmsprop_step", param.dtype(), [&]<class T>(TypeTag<T>) {
    const Decay<T> decay(step.lr, step.weight_decay, false, step.maximize);
    const T lr = static_cast<T>(step.lr);
    const T alpha = static_cast<T>(step.alpha);
    const T weight = static_cast<T>(1 - step.alpha);
    const T eps = static_cast<T>(step.eps);
    const T momentum = static_cast<T>(step.momentum);
    const auto plain_scale = [=](T d, T& square) {
      square = alpha * square + weight * (d * d);
      return std::sqrt(square) + eps;
    };
    const auto centered_scale = [=](T d, T& square, T& mean) {
      square = alpha * square + weight * (d * d);
      mean += weight * (d - mean);
      const T variance = square - mean * mean;
      return std::sqrt(variance < T{0} ? T{0} : variance) + eps;  // rounding may bring it below
    };
    const auto keep_moving = [=](T& p, T direction, T& buffer) {
      buffer = momentum * buffer + direction;
      p -= lr * buffer;
    };
    const auto run = [&](const auto& update, const auto&... states) {
      update_pass<T>("rmsprop_step", param, grad, update, states...);
    };
    const bool centered = grad_avg.defined();
    if (momentum_buffer.defined() && centered) {
      run(
          [=](T& p, T g, T& square, T& mean, T& buffer) {
            const T d = decay(p, g);
            keep_moving(p, d / centered_scale(d, square, mean), buffer);
          },
          square_avg, grad_avg, momentum_buffer);
    } else if (momentum_buffer.defined()) {
      run(
          [=](T& p, T g, T& square, T& buffer) {
            const T d = decay(p, g);
            keep_moving(p, d / plain_scale(d, square), buffer);
          },
          square_avg, momentum_buffer);
    } else if (centered) {
      run(
          [=](T& p, T g, T& square, T& mean) {
            const T d = decay(p, g);
            p -= lr * d / centered_scale(d, square, mean);
          },
          square_avg, grad_avg);
    } else {
      run(
          [=](T& p, T g, T& square) {
            const T d = decay(p, g);
            p -= lr * d / plain_scale(d, square);
          },
          square_avg);
    }
  });
}

}  // namespace tapewire::kernels
