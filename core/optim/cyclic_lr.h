#pragma once

#include <array>

#include "core/optim/scheduler.h"

namespace tapewire {

enum class CyclicMode : uint8_t { kTriangular, kTriangular2, kExpRange };
template <>
struct EnumNames<CyclicMode> {
  static constexpr std::array<std::string_view, 3> names{"triangular", "triangular2", "exp_range"};
};

struct CyclicLROptions {
  std::vector<double> base_lr{0};
  std::vector<double> max_lr{0};
  int64_t step_size_up = 2000;
  std::optional<int64_t> step_size_down;
  CyclicMode mode = CyclicMode::kTriangular;
  double gamma = 1;
  bool cycle_momentum = true;
  std::vector<double> base_momentum{0.8};
  std::vector<double> max_momentum{0.9};
  static constexpr auto fields() {
    return std::tuple{
        required_field("base_lr", &CyclicLROptions::base_lr, "the lowest rate; one for all groups or one each"),
        required_field("max_lr", &CyclicLROptions::max_lr, "the highest rate; one for all groups or one each"),
        field("step_size_up", &CyclicLROptions::step_size_up, "steps from the lowest rate to the highest"),
        field("step_size_down", &CyclicLROptions::step_size_down, "steps back; none: as many"),
        field("mode", &CyclicLROptions::mode,
              "'triangular', 'triangular2' (half as high each cycle) or 'exp_range' (by gamma each step)"),
        field("gamma", &CyclicLROptions::gamma, "of exp_range"),
        field("cycle_momentum", &CyclicLROptions::cycle_momentum, "move momentum, or beta1, the other way"),
        field("base_momentum", &CyclicLROptions::base_momentum, "the lowest momentum; one for all groups or one each"),
        field("max_momentum", &CyclicLROptions::max_momentum, "the highest momentum; one for all groups or one each")};
  }
};

/// Rates that go up and down between two bounds (Smith, 2015). torch.optim.lr_scheduler.CyclicLR without scale_fn.
class CyclicLR final : public Scheduler {
 public:
  using Options = CyclicLROptions;
  static constexpr auto kName = "CyclicLR";
  static constexpr auto kDoc = "moves the learning rate up and down between two bounds";

  CyclicLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;
  std::optional<double> next_momentum(size_t group) const override;

 private:
  // How far up the triangle the present step is, 0 to 1, times how high the triangle is.
  double height() const;

  Options options_;
  std::vector<double> max_lr_;
  std::vector<double> base_momentum_;
  std::vector<double> max_momentum_;
};

}  // namespace tapewire
