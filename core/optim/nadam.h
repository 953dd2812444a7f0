#pragma once

#include "core/optim/optimizer.h"

namespace tapewire {

struct NAdamOptions {
  double lr = 2e-3;
  std::vector<double> betas{0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;
  bool decoupled_weight_decay = false;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{field("lr", &NAdamOptions::lr, "learning rate"),
                      field("betas", &NAdamOptions::betas, "decay of the running averages of gradient and its square"),
                      field("eps", &NAdamOptions::eps, "added to the denominator"),
                      field("weight_decay", &NAdamOptions::weight_decay, "L2 penalty, added to the gradient"),
                      field("momentum_decay", &NAdamOptions::momentum_decay, "how fast the momentum warms up"),
                      field("decoupled_weight_decay", &NAdamOptions::decoupled_weight_decay,
                            "take weight decay off the parameter itself, as AdamW does"),
                      field("maximize", &NAdamOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

/// Adam with Nesterov momentum (Dozat, 2016) as torch.optim.NAdam. The product of momenta is kept in double; PyTorch
/// keeps it in the default dtype.
class NAdam final : public OptimizerWith<NAdamOptions> {
 public:
  static constexpr auto kName = "NAdam";
  static constexpr auto kDoc = "Adam with Nesterov momentum";

  explicit NAdam(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  NAdam(std::vector<NamedTensor> parameters, const Options& options) : NAdam({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  std::vector<StateNumber> state_numbers() const override;
  void update(Update& u) override;
};

}  // namespace tapewire
