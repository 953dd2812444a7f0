#pragma once

#include "core/nn/activation_support.h"
#include "core/ops/piecewise_activation.h"

namespace tapewire {

/// Activations made of straight pieces (Hardswish: of parabolas too) as layers, named as in torch.nn.

struct RReLUOptions {
  double lower = 1.0 / 8;
  double upper = 1.0 / 3;
  bool inplace = false;
  static constexpr auto fields() {
    return std::tuple{field("lower", &RReLUOptions::lower, "least slope below 0"),
                      field("upper", &RReLUOptions::upper, "end of the slopes"),
                      field("inplace", &RReLUOptions::inplace, kInplaceDoc)};
  }
};
struct PReLUOptions {
  int64_t num_parameters = 1;
  double init = 0.25;
  static constexpr auto fields() {
    return std::tuple{field("num_parameters", &PReLUOptions::num_parameters, "slopes to learn: 1, or one a channel"),
                      field("init", &PReLUOptions::init, "first value of each slope")};
  }
};

class ReLU6 final : public Activation<ReLU6, InplaceOptions> {
 public:
  static constexpr auto kName = "ReLU6";
  static constexpr auto kDoc = "min(max(x, 0), 6)";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

/// Throws unless min_val < max_val.
class Hardtanh final : public Activation<Hardtanh, Inplace<HardtanhAttrs>> {
 public:
  static constexpr auto kName = "Hardtanh";
  static constexpr auto kDoc = "min(max(x, min_val), max_val)";
  explicit Hardtanh(const Options& options = {});
  Tensor forward(const Tensor& x) override;
};

class Hardsigmoid final : public Activation<Hardsigmoid, InplaceOptions> {
 public:
  static constexpr auto kName = "Hardsigmoid";
  static constexpr auto kDoc = "relu6(x + 3) / 6";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
  /// PyTorch prints no options here.
  std::string extra_repr() const override { return ""; }
};

/// Howard et al., 2019.
class Hardswish final : public Activation<Hardswish, InplaceOptions> {
 public:
  static constexpr auto kName = "Hardswish";
  static constexpr auto kDoc = "x * relu6(x + 3) / 6";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
  /// PyTorch prints no options here.
  std::string extra_repr() const override { return ""; }
};

class LeakyReLU final : public Activation<LeakyReLU, Inplace<LeakyReluAttrs>> {
 public:
  static constexpr auto kName = "LeakyReLU";
  static constexpr auto kDoc = "x where positive, else negative_slope * x";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

class Hardshrink final : public Activation<Hardshrink, ShrinkAttrs> {
 public:
  static constexpr auto kName = "Hardshrink";
  static constexpr auto kDoc = "0 between -lambd and lambd, else x";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override { return options_repr(options(), {.unnamed = 1}); }
};

/// Throws for a negative lambd.
class Softshrink final : public Activation<Softshrink, ShrinkAttrs> {
 public:
  static constexpr auto kName = "Softshrink";
  static constexpr auto kDoc = "0 between -lambd and lambd, else x brought nearer to 0 by lambd";
  explicit Softshrink(const Options& options = {});
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override { return options_repr(options(), {.unnamed = 1}); }
};

class Threshold final : public Activation<Threshold, Inplace<ThresholdAttrs>> {
 public:
  static constexpr auto kName = "Threshold";
  static constexpr auto kDoc = "x where above threshold, else value";
  using Activation::Activation;
  Tensor forward(const Tensor& x) override;
};

/// Xu et al., 2015. Throws unless lower <= upper.
class RReLU final : public Activation<RReLU, RReLUOptions> {
 public:
  static constexpr auto kName = "RReLU";
  static constexpr auto kDoc =
      "LeakyReLU whose slope is drawn from [lower, upper) for each element in training, else their mean";
  explicit RReLU(const Options& options = {});
  Tensor forward(const Tensor& x) override;
};

/// Parameter: weight [num_parameters]. He et al., 2015.
class PReLU final : public TensorModule {
 public:
  using Options = PReLUOptions;
  static constexpr auto kName = "PReLU";
  static constexpr auto kDoc = "x where positive, else x times a learned weight, one for all or one a channel";
  explicit PReLU(const Options& options = {});
  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& x) override;
  std::string extra_repr() const override { return options_repr(options_, {.count = 1}); }

  const Tensor& weight() const { return weight_; }

 private:
  Options options_;
  Member<Tensor> weight_;
};

}  // namespace tapewire
