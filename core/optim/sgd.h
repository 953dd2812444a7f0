#pragma once

#include "core/optim/optimizer.h"

namespace tapewire {

struct SgdOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
  bool maximize = false;
  static constexpr auto fields() {
    return std::tuple{field("lr", &SgdOptions::lr, "learning rate"),
                      field("momentum", &SgdOptions::momentum, "how much of the last update is kept"),
                      field("dampening", &SgdOptions::dampening, "how much of the gradient momentum leaves out"),
                      field("weight_decay", &SgdOptions::weight_decay, "L2 penalty"),
                      field("nesterov", &SgdOptions::nesterov, "Nesterov momentum; needs momentum and no dampening"),
                      field("maximize", &SgdOptions::maximize, "go up the gradient instead of down")};
  }
  void validate() const;
};

/// Stochastic gradient descent as torch.optim.SGD: the first momentum buffer is the gradient itself, undamped.
class SGD final : public OptimizerWith<SgdOptions> {
 public:
  static constexpr auto kName = "SGD";
  static constexpr auto kDoc = "stochastic gradient descent, with momentum if asked";

  explicit SGD(std::vector<OptionGroup> groups) : OptimizerWith(std::move(groups)) {}
  SGD(std::vector<NamedTensor> parameters, const Options& options) : SGD({{std::move(parameters), options}}) {}

  std::string_view type() const override { return kName; }

 protected:
  std::vector<Slot> slots(size_t group) const override;
  void update(Update& u) override;
};

}  // namespace tapewire
