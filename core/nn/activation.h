#pragma once

#include <optional>

#include "core/nn/activation_support.h"

namespace tapewire {

/// Activations as layers, named as in torch.nn. More are in smooth_activation.h and piecewise_activation.h.

struct SoftmaxOptions {
  std::optional<int64_t> dim;
  static constexpr auto fields() {
    return std::tuple{field("dim", &SoftmaxOptions::dim,
                            "dimension that sums to one; none: 0 for inputs of 0, 1 or 3 dimensions, else 1")};
  }
};

class ReLU final : public Activation<ReLU, InplaceOptions> {
 public:
  static constexpr auto kName = "ReLU";
  static constexpr auto kDoc = "max(x, 0)";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Sigmoid final : public Activation<Sigmoid, NoAttrs> {
 public:
  static constexpr auto kName = "Sigmoid";
  static constexpr auto kDoc = "1 / (1 + exp(-x))";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Tanh final : public Activation<Tanh, NoAttrs> {
 public:
  static constexpr auto kName = "Tanh";
  static constexpr auto kDoc = "the hyperbolic tangent";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Softmax final : public Activation<Softmax, SoftmaxOptions> {
 public:
  static constexpr auto kName = "Softmax";
  static constexpr auto kDoc = "exp(x) / sum(exp(x), dim)";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class LogSoftmax final : public Activation<LogSoftmax, SoftmaxOptions> {
 public:
  static constexpr auto kName = "LogSoftmax";
  static constexpr auto kDoc = "log(softmax(x, dim))";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Softmin final : public Activation<Softmin, SoftmaxOptions> {
 public:
  static constexpr auto kName = "Softmin";
  static constexpr auto kDoc = "softmax(-x, dim)";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

/// Softmax over the channels of [N, C, H, W] or [C, H, W].
class Softmax2d final : public Activation<Softmax2d, NoAttrs> {
 public:
  static constexpr auto kName = "Softmax2d";
  static constexpr auto kDoc = "softmax over the channels of [N, C, H, W] or [C, H, W]";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

}  // namespace tapewire
