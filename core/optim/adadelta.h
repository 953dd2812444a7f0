#pragma once

#include "core/optim/optimizer.h"

namespace tapewire {

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{field("lr", &AdadeltaOptions::lr, "learning rate"),
                      field("rho", &AdadeltaOptions::rho, "decay of the running averages of squares"),
                      field("eps", &AdadeltaOptions::eps, "added to the denominator"),
                      field("weight_decay", &AdadeltaOptions::weight_decay, "L2 penalty, added to the gradient"),
                      field("maximize", &AdadeltaOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

/// Adadelta (Zeiler, 2012) as torch.optim.Adadelta.
class Adadelta final : public OptimizerWith<AdadeltaOptions> {
 public:
  static constexpr auto kName = "Adadelta";
  static constexpr auto kDoc = "steps scaled by recent gradients and recent updates";

  explicit Adadelta(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  Adadelta(std::vector<NamedTensor> parameters, const Options& options)
      : Adadelta({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  void update(Update& u) override;
};

}  // namespace tapewire
