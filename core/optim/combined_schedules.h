#pragma once

#include "core/optim/scheduler.h"

namespace tapewire {

struct SequentialLROptions {
  Shape milestones;
  static constexpr auto fields() {
    return std::tuple{required_field("milestones", &SequentialLROptions::milestones,
                                     "epochs at which the next schedule takes over, one fewer than schedules")};
  }
};

/// Schedules one after the other: at a milestone the next one starts, from the rates that it was made with.
/// torch.optim.lr_scheduler.SequentialLR. A ReduceLROnPlateau cannot be among them.
class SequentialLR final : public Scheduler {
 public:
  using Options = SequentialLROptions;
  static constexpr auto kName = "SequentialLR";
  static constexpr auto kDoc = "runs schedules one after the other";

  SequentialLR(Optimizer& optimizer, Schedulers schedulers, const Options& options);

  std::string_view type() const override { return kName; }
  void check_step(std::optional<double> metric) const override;

 protected:
  void start() override;
  void advance(std::optional<double> metric) override;
  void save(SchedulerStateWriter& state) const override;
  void load(SchedulerStateReader& state) override;

 private:
  // Whose turn it is at an epoch.
  size_t index_at(int64_t epoch) const;
  // Whether that turn begins there.
  bool begins_at(size_t index, int64_t epoch) const;

  Options options_;
  Schedulers schedulers_;
};

/// Schedules that all step together, each from the rates that the one before left.
/// torch.optim.lr_scheduler.ChainedScheduler. A ReduceLROnPlateau cannot be among them.
class ChainedScheduler final : public Scheduler {
 public:
  using Options = NoAttrs;
  static constexpr auto kName = "ChainedScheduler";
  static constexpr auto kDoc = "runs several schedules at once";

  ChainedScheduler(Optimizer& optimizer, Schedulers schedulers, const Options& options);

  std::string_view type() const override { return kName; }
  void check_step(std::optional<double> metric) const override;

 protected:
  void start() override;
  void advance(std::optional<double> metric) override;
  void save(SchedulerStateWriter& state) const override;
  void load(SchedulerStateReader& state) override;

 private:
  Schedulers schedulers_;
};

}  // namespace tapewire
