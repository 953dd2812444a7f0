#pragma once

#include "core/optim/optimizer.h"

namespace tapewire {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{field("lr", &RMSpropOptions::lr, "learning rate"),
                      field("alpha", &RMSpropOptions::alpha, "decay of the running averages"),
                      field("eps", &RMSpropOptions::eps, "added to the denominator"),
                      field("weight_decay", &RMSpropOptions::weight_decay, "L2 penalty, added to the gradient"),
                      field("momentum", &RMSpropOptions::momentum, "how much of the last update is kept"),
                      field("centered", &RMSpropOptions::centered, "divide by the standard deviation of the gradient"),
                      field("maximize", &RMSpropOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

/// RMSprop (Hinton, 2012; centered: Graves, 2013) as torch.optim.RMSprop.
class RMSprop final : public OptimizerWith<RMSpropOptions> {
 public:
  static constexpr auto kName = "RMSprop";
  static constexpr auto kDoc = "steps scaled by a running average of the squared gradient";

  explicit RMSprop(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  RMSprop(std::vector<NamedTensor> parameters, const Options& options) : RMSprop({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  void update(Update& u) override;
};

}  // namespace tapewire
