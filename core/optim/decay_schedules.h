#pragma once

#include "core/optim/scheduler.h"

namespace tapewire {

struct StepLROptions {
  int64_t step_size = 1;
  double gamma = 0.1;
  static constexpr auto fields() {
    return std::tuple{required_field("step_size", &StepLROptions::step_size, "epochs between two changes"),
                      field("gamma", &StepLROptions::gamma, "what the rate is multiplied by")};
  }
};

/// Multiplies the rates by gamma every step_size epochs. torch.optim.lr_scheduler.StepLR.
class StepLR final : public Scheduler {
 public:
  using Options = StepLROptions;
  static constexpr auto kName = "StepLR";
  static constexpr auto kDoc = "multiplies the learning rate by gamma every step_size epochs";

  StepLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;

 private:
  Options options_;
};

struct MultiStepLROptions {
  Shape milestones;
  double gamma = 0.1;
  static constexpr auto fields() {
    return std::tuple{required_field("milestones", &MultiStepLROptions::milestones,
                                     "epochs of the changes; one that stands twice counts twice"),
                      field("gamma", &MultiStepLROptions::gamma, "what the rate is multiplied by")};
  }
};

/// Multiplies the rates by gamma at each milestone. torch.optim.lr_scheduler.MultiStepLR.
class MultiStepLR final : public Scheduler {
 public:
  using Options = MultiStepLROptions;
  static constexpr auto kName = "MultiStepLR";
  static constexpr auto kDoc = "multiplies the learning rate by gamma at each milestone";

  MultiStepLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;

 private:
  Options options_;
  std::map<int64_t, int64_t> times_;  // how often a milestone stands there
};

struct ExponentialLROptions {
  double gamma = 1;
  static constexpr auto fields() {
    return std::tuple{required_field("gamma", &ExponentialLROptions::gamma, "what the rate is multiplied by")};
  }
};

/// Multiplies the rates by gamma every epoch. torch.optim.lr_scheduler.ExponentialLR.
class ExponentialLR final : public Scheduler {
 public:
  using Options = ExponentialLROptions;
  static constexpr auto kName = "ExponentialLR";
  static constexpr auto kDoc = "multiplies the learning rate by gamma every epoch";

  ExponentialLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;

 private:
  Options options_;
};

}  // namespace tapewire
