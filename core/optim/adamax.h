#pragma once

#include "core/optim/optimizer.h"

namespace tapewire {

struct AdamaxOptions {
  double lr = 2e-3;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{
        field("lr", &AdamaxOptions::lr, "learning rate"),
        field("betas", &AdamaxOptions::betas, "decay of the running average of the gradient and of its largest value"),
        field("eps", &AdamaxOptions::eps, "added to the denominator"),
        field("weight_decay", &AdamaxOptions::weight_decay, "L2 penalty, added to the gradient"),
        field("maximize", &AdamaxOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

/// The variant of Adam by the infinity norm (Kingma and Ba, 2014) as torch.optim.Adamax.
class Adamax final : public OptimizerWith<AdamaxOptions> {
 public:
  static constexpr auto kName = "Adamax";
  static constexpr auto kDoc = "Adam by the largest recent gradient instead of the mean square";

  explicit Adamax(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  Adamax(std::vector<NamedTensor> parameters, const Options& options) : Adamax({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  void update(Update& u) override;
};

}  // namespace tapewire
