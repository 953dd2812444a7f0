#pragma once

#include "core/optim/optimizer.h"

namespace tapewire {

struct RAdamOptions {
  double lr = 1e-3;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{field("lr", &RAdamOptions::lr, "learning rate"),
                      field("betas", &RAdamOptions::betas, "decay of the running averages of gradient and its square"),
                      field("eps", &RAdamOptions::eps, "added to the denominator"),
                      field("weight_decay", &RAdamOptions::weight_decay, "L2 penalty, added to the gradient"),
                      field("decoupled_weight_decay", &RAdamOptions::decoupled_weight_decay,
                            "take weight decay off the parameter itself, as AdamW does"),
                      field("maximize", &RAdamOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

/// Adam with a rectified variance (Liu et al., 2019) as torch.optim.RAdam.
class RAdam final : public OptimizerWith<RAdamOptions> {
 public:
  static constexpr auto kName = "RAdam";
  static constexpr auto kDoc = "Adam that waits until it can trust its mean squares";

  explicit RAdam(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  RAdam(std::vector<NamedTensor> parameters, const Options& options) : RAdam({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  void update(Update& u) override;
};

}  // namespace tapewire
