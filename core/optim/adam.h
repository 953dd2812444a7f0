#pragma once

#include "core/optim/optimizer.h"

namespace tapewire {

struct AdamOptions {
  double lr = 1e-3;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{field("lr", &AdamOptions::lr, "learning rate"),
                      field("betas", &AdamOptions::betas, "decay of the running averages of gradient and its square"),
                      field("eps", &AdamOptions::eps, "added to the denominator"),
                      field("weight_decay", &AdamOptions::weight_decay, "L2 penalty, added to the gradient"),
                      field("amsgrad", &AdamOptions::amsgrad, "divide by the largest average so far"),
                      field("maximize", &AdamOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

struct AdamWOptions {
  double lr = 1e-3;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{
        field("lr", &AdamWOptions::lr, "learning rate"),
        field("betas", &AdamWOptions::betas, "decay of the running averages of gradient and its square"),
        field("eps", &AdamWOptions::eps, "added to the denominator"),
        field("weight_decay", &AdamWOptions::weight_decay, "how much of lr * parameter each step takes off"),
        field("amsgrad", &AdamWOptions::amsgrad, "divide by the largest average so far"),
        field("maximize", &AdamWOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

/// Adam (Kingma and Ba, 2014; AMSGrad: Reddi et al., 2018) as torch.optim.Adam.
class Adam final : public OptimizerWith<AdamOptions> {
 public:
  static constexpr auto kName = "Adam";
  static constexpr auto kDoc = "Adam: steps scaled by running averages of the gradient and its square";

  explicit Adam(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  Adam(std::vector<NamedTensor> parameters, const Options& options) : Adam({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  void update(Update& u) override;
};

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2017) as torch.optim.AdamW.
class AdamW final : public OptimizerWith<AdamWOptions> {
 public:
  static constexpr auto kName = "AdamW";
  static constexpr auto kDoc = "Adam that takes weight decay off the parameter itself";

  explicit AdamW(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  AdamW(std::vector<NamedTensor> parameters, const Options& options) : AdamW({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  void update(Update& u) override;
};

}  // namespace tapewire
