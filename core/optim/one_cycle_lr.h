#pragma once

#include <array>

#include "core/optim/scheduler.h"

namespace tapewire {

enum class AnnealStrategy : uint8_t { kCos, kLinear };
template <>
struct EnumNames<AnnealStrategy> {
  static constexpr std::array<std::string_view, 2> names{"cos", "linear"};
};

struct OneCycleLROptions {
  std::vector<double> max_lr{0};
  std::optional<int64_t> total_steps;
  std::optional<int64_t> epochs;
  std::optional<int64_t> steps_per_epoch;
  double pct_start = 0.3;
  AnnealStrategy anneal_strategy = AnnealStrategy::kCos;
  bool cycle_momentum = true;
  std::vector<double> base_momentum{0.85};
  std::vector<double> max_momentum{0.95};
  double div_factor = 25;
  double final_div_factor = 1e4;
  bool three_phase = false;
  static constexpr auto fields() {
    return std::tuple{
        required_field("max_lr", &OneCycleLROptions::max_lr, "the highest rate; one for all groups or one each"),
        field("total_steps", &OneCycleLROptions::total_steps, "steps of the cycle; none: epochs * steps_per_epoch"),
        field("epochs", &OneCycleLROptions::epochs, "with steps_per_epoch"),
        field("steps_per_epoch", &OneCycleLROptions::steps_per_epoch, "with epochs"),
        field("pct_start", &OneCycleLROptions::pct_start, "which part of the steps the rate rises"),
        field("anneal_strategy", &OneCycleLROptions::anneal_strategy, "'cos' or 'linear'"),
        field("cycle_momentum", &OneCycleLROptions::cycle_momentum, "move momentum, or beta1, the other way"),
        field("base_momentum", &OneCycleLROptions::base_momentum,
              "the lowest momentum; one for all groups or one each"),
        field("max_momentum", &OneCycleLROptions::max_momentum, "the highest momentum; one for all groups or one each"),
        field("div_factor", &OneCycleLROptions::div_factor, "max_lr over the first rate"),
        field("final_div_factor", &OneCycleLROptions::final_div_factor, "the first rate over the last"),
        field("three_phase", &OneCycleLROptions::three_phase,
              "come back to the first rate before falling to the last")};
  }
};

/// One rise of the rate and one fall (Smith and Topin, 2017); a step beyond total_steps is FAILED_PRECONDITION.
/// torch.optim.lr_scheduler.OneCycleLR.
class OneCycleLR final : public Scheduler {
 public:
  using Options = OneCycleLROptions;
  static constexpr auto kName = "OneCycleLR";
  static constexpr auto kDoc = "raises the learning rate once and lets it fall to almost nothing";

  OneCycleLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }
  void check_step(std::optional<double> metric) const override;

 protected:
  double next_rate(size_t group) const override;
  std::optional<double> next_momentum(size_t group) const override;

 private:
  enum Level : uint8_t { kInitial, kMax, kMin };  // of the rate; of momentum: highest, lowest, highest
  struct Phase {
    double end;
    Level from;
    Level to;
  };

  // `levels` by Level, between which the present step is.
  double value(const std::array<double, 3>& levels) const;

  Options options_;
  int64_t total_;
  std::vector<Phase> phases_;
  std::vector<double> max_lr_;
  std::vector<double> base_momentum_;
  std::vector<double> max_momentum_;
};

}  // namespace tapewire
