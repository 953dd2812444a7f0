#pragma once

#include "core/optim/scheduler.h"

namespace tapewire {

struct CosineAnnealingLROptions {
  int64_t T_max = 1;
  double eta_min = 0;
  static constexpr auto fields() {
    return std::tuple{
        required_field("T_max", &CosineAnnealingLROptions::T_max, "epochs from the highest rate to the lowest"),
        field("eta_min", &CosineAnnealingLROptions::eta_min, "the lowest rate")};
  }
};

/// Rates along a cosine, down and up again (Loshchilov and Hutter, 2016, without restarts), by PyTorch's recursion.
/// torch.optim.lr_scheduler.CosineAnnealingLR.
class CosineAnnealingLR final : public Scheduler {
 public:
  using Options = CosineAnnealingLROptions;
  static constexpr auto kName = "CosineAnnealingLR";
  static constexpr auto kDoc = "moves the learning rate along a cosine";

  CosineAnnealingLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;

 private:
  Options options_;
};

struct CosineAnnealingWarmRestartsOptions {
  int64_t T_0 = 1;
  int64_t T_mult = 1;
  double eta_min = 0;
  static constexpr auto fields() {
    return std::tuple{required_field("T_0", &CosineAnnealingWarmRestartsOptions::T_0, "epochs until the first restart"),
                      field("T_mult", &CosineAnnealingWarmRestartsOptions::T_mult,
                            "how many times longer each round is than the last"),
                      field("eta_min", &CosineAnnealingWarmRestartsOptions::eta_min, "the lowest rate")};
  }
};

/// Rates along half a cosine down, again and again (Loshchilov and Hutter, 2016).
/// torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.
class CosineAnnealingWarmRestarts final : public Scheduler {
 public:
  using Options = CosineAnnealingWarmRestartsOptions;
  static constexpr auto kName = "CosineAnnealingWarmRestarts";
  static constexpr auto kDoc = "lets the learning rate fall along a cosine, again and again";

  CosineAnnealingWarmRestarts(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  void start() override;
  void advance(std::optional<double> metric) override;
  double next_rate(size_t group) const override;
  void save(SchedulerStateWriter& state) const override;
  void load(SchedulerStateReader& state) override;

 private:
  Options options_;
  int64_t since_ = 0;   // epochs since the last restart: T_cur
  int64_t length_ = 1;  // of this round: T_i
};

}  // namespace tapewire
