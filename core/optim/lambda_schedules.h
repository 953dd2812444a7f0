#pragma once

#include <functional>

#include "core/optim/scheduler.h"

namespace tapewire {

/// From an epoch to a factor.
using RateFunction = std::function<double(int64_t epoch)>;

/// Rates of function(epoch) times the initial ones. torch.optim.lr_scheduler.LambdaLR. One function for all groups or
/// one each; what they give is not checked. In C++ alone: a definition cannot say a function.
class LambdaLR final : public Scheduler {
 public:
  LambdaLR(Optimizer& optimizer, std::vector<RateFunction> functions);
  std::string_view type() const override { return "LambdaLR"; }

 protected:
  double next_rate(size_t group) const override;

 private:
  std::vector<RateFunction> functions_;
};

/// Multiplies the rates by function(epoch) every epoch. torch.optim.lr_scheduler.MultiplicativeLR. Otherwise as
/// LambdaLR.
class MultiplicativeLR final : public Scheduler {
 public:
  MultiplicativeLR(Optimizer& optimizer, std::vector<RateFunction> functions);
  std::string_view type() const override { return "MultiplicativeLR"; }
  /// Keeps the rates that there are, for it has no others.
  void restart() override { begin(); }

 protected:
  double next_rate(size_t group) const override;

 private:
  std::vector<RateFunction> functions_;
};

}  // namespace tapewire
