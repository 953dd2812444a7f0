#pragma once

#include "core/optim/optimizer.h"

namespace tapewire {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{field("lr", &AdagradOptions::lr, "learning rate"),
                      field("lr_decay", &AdagradOptions::lr_decay, "the rate is divided by 1 + (step - 1) * lr_decay"),
                      field("weight_decay", &AdagradOptions::weight_decay, "L2 penalty, added to the gradient"),
                      field("initial_accumulator_value", &AdagradOptions::initial_accumulator_value,
                            "what the sums of squares begin with"),
                      field("eps", &AdagradOptions::eps, "added to the denominator"),
                      field("maximize", &AdagradOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

/// Adaptive subgradients (Duchi et al., 2011) as torch.optim.Adagrad.
class Adagrad final : public OptimizerWith<AdagradOptions> {
 public:
  static constexpr auto kName = "Adagrad";
  static constexpr auto kDoc = "steps scaled by the sum of all squared gradients";

  explicit Adagrad(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  Adagrad(std::vector<NamedTensor> parameters, const Options& options) : Adagrad({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  void update(Update& u) override;
};

}  // namespace tapewire
