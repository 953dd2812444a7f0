#pragma once

#include "core/nn/activation_support.h"
#include "core/ops/smooth_activation.h"

namespace tapewire {

/// Activations made of exponentials as layers, named as in torch.nn.

class ELU final : public Activation<ELU, Inplace<AlphaAttrs>> {
 public:
  static constexpr auto kName = "ELU";
  static constexpr auto kDoc = "x where positive, else alpha * (exp(x) - 1)";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

/// Klambauer et al., 2017.
class SELU final : public Activation<SELU, InplaceOptions> {
 public:
  static constexpr auto kName = "SELU";
  static constexpr auto kDoc = "elu, scaled so that layers keep mean 0 and variance 1";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

/// Throws for alpha 0.
class CELU final : public Activation<CELU, Inplace<AlphaAttrs>> {
 public:
  static constexpr auto kName = "CELU";
  static constexpr auto kDoc = "x where positive, else alpha * (exp(x / alpha) - 1)";
  explicit CELU(const Options& options = {});
  Tensor forward(const Tensor& x) override;
};

/// Hendrycks and Gimpel, 2016.
class GELU final : public Activation<GELU, GeluAttrs> {
 public:
  static constexpr auto kName = "GELU";
  static constexpr auto kDoc = "x times the share of the normal distribution below x";
  explicit GELU(const Options& options = {});
  Tensor forward(const Tensor& x) override;
};

class SiLU final : public Activation<SiLU, InplaceOptions> {
 public:
  static constexpr auto kName = "SiLU";
  static constexpr auto kDoc = "x * sigmoid(x)";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Mish final : public Activation<Mish, InplaceOptions> {
 public:
  static constexpr auto kName = "Mish";
  static constexpr auto kDoc = "x * tanh(softplus(x))";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Softplus final : public Activation<Softplus, SoftplusAttrs> {
 public:
  static constexpr auto kName = "Softplus";
  static constexpr auto kDoc = "log(1 + exp(beta * x)) / beta";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Softsign final : public Activation<Softsign, NoAttrs> {
 public:
  static constexpr auto kName = "Softsign";
  static constexpr auto kDoc = "x / (1 + |x|)";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class LogSigmoid final : public Activation<LogSigmoid, NoAttrs> {
 public:
  static constexpr auto kName = "LogSigmoid";
  static constexpr auto kDoc = "log(sigmoid(x))";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Tanhshrink final : public Activation<Tanhshrink, NoAttrs> {
 public:
  static constexpr auto kName = "Tanhshrink";
  static constexpr auto kDoc = "x - tanh(x)";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

/// Dauphin et al., 2016.
class GLU final : public Activation<GLU, GluAttrs> {
 public:
  static constexpr auto kName = "GLU";
  static constexpr auto kDoc = "the first half of x along dim times the sigmoid of the second";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

}  // namespace tapewire
