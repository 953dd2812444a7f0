#pragma once

#include <array>

#include "core/optim/scheduler.h"

namespace tapewire {

enum class PlateauMode : uint8_t { kMin, kMax };
template <>
struct EnumNames<PlateauMode> {
  static constexpr std::array<std::string_view, 2> names{"min", "max"};
};

enum class ThresholdMode : uint8_t { kRel, kAbs };
template <>
struct EnumNames<ThresholdMode> {
  static constexpr std::array<std::string_view, 2> names{"rel", "abs"};
};

struct ReduceLROnPlateauOptions {
  PlateauMode mode = PlateauMode::kMin;
  double factor = 0.1;
  int64_t patience = 10;
  double threshold = 1e-4;
  ThresholdMode threshold_mode = ThresholdMode::kRel;
  int64_t cooldown = 0;
  std::vector<double> min_lr{0};
  double eps = 1e-8;
  static constexpr auto fields() {
    return std::tuple{
        field("mode", &ReduceLROnPlateauOptions::mode, "'min' or 'max': which way the metric is better"),
        field("factor", &ReduceLROnPlateauOptions::factor, "what the rate is multiplied by, below 1"),
        field("patience", &ReduceLROnPlateauOptions::patience, "epochs without progress that are put up with"),
        field("threshold", &ReduceLROnPlateauOptions::threshold, "what counts as progress"),
        field("threshold_mode", &ReduceLROnPlateauOptions::threshold_mode,
              "'rel' or 'abs': a part of the best metric, or an amount"),
        field("cooldown", &ReduceLROnPlateauOptions::cooldown, "epochs after a change in which none is counted"),
        field("min_lr", &ReduceLROnPlateauOptions::min_lr, "the lowest rate; one for all groups or one each"),
        field("eps", &ReduceLROnPlateauOptions::eps, "changes of at most this are left out")};
  }
};

/// Lowers the rates when a metric has stopped getting better. Each step needs the metric; NaN is no progress.
/// torch.optim.lr_scheduler.ReduceLROnPlateau.
class ReduceLROnPlateau final : public Scheduler {
 public:
  using Options = ReduceLROnPlateauOptions;
  static constexpr auto kName = "ReduceLROnPlateau";
  static constexpr auto kDoc = "lowers the learning rate when a metric has stopped getting better";

  ReduceLROnPlateau(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }
  void check_step(std::optional<double> metric) const override;

 protected:
  void start() override;
  void advance(std::optional<double> metric) override;
  void save(SchedulerStateWriter& state) const override;
  void load(SchedulerStateReader& state) override;

 private:
  bool is_better(double metric) const;
  void reduce();

  Options options_;
  std::vector<double> min_lr_;
  double best_ = 0;
  int64_t bad_epochs_ = 0;
  int64_t cooldown_left_ = 0;
};

}  // namespace tapewire
