#pragma once

#include "core/optim/scheduler.h"

namespace tapewire {

struct ConstantLROptions {
  double factor = 1.0 / 3;
  int64_t total_iters = 5;
  static constexpr auto fields() {
    return std::tuple{
        field("factor", &ConstantLROptions::factor, "what the rate is multiplied by until then, above 0 and at most 1"),
        field("total_iters", &ConstantLROptions::total_iters, "epochs until the rate comes back")};
  }
};

/// Rates of `factor` times the initial ones for total_iters epochs. torch.optim.lr_scheduler.ConstantLR, but for a
/// factor of 0, from which no rate comes back: an error here, a division by zero there.
class ConstantLR final : public Scheduler {
 public:
  using Options = ConstantLROptions;
  static constexpr auto kName = "ConstantLR";
  static constexpr auto kDoc = "a smaller learning rate for the first epochs";

  ConstantLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;

 private:
  Options options_;
};

struct LinearLROptions {
  double start_factor = 1.0 / 3;
  double end_factor = 1;
  int64_t total_iters = 5;
  static constexpr auto fields() {
    return std::tuple{
        field("start_factor", &LinearLROptions::start_factor, "of the rate at first, above 0 and at most 1"),
        field("end_factor", &LinearLROptions::end_factor, "of the rate in the end, 0 to 1"),
        field("total_iters", &LinearLROptions::total_iters, "epochs from the one to the other")};
  }
};

/// Rates along a line from start_factor to end_factor. torch.optim.lr_scheduler.LinearLR.
class LinearLR final : public Scheduler {
 public:
  using Options = LinearLROptions;
  static constexpr auto kName = "LinearLR";
  static constexpr auto kDoc = "changes the learning rate along a line for the first epochs";

  LinearLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;

 private:
  Options options_;
};

struct PolynomialLROptions {
  int64_t total_iters = 5;
  double power = 1;
  static constexpr auto fields() {
    return std::tuple{field("total_iters", &PolynomialLROptions::total_iters, "epochs until the rate is 0"),
                      field("power", &PolynomialLROptions::power, "of the polynomial")};
  }
};

/// Rates of (1 - epoch / total_iters)^power times the initial ones. torch.optim.lr_scheduler.PolynomialLR.
class PolynomialLR final : public Scheduler {
 public:
  using Options = PolynomialLROptions;
  static constexpr auto kName = "PolynomialLR";
  static constexpr auto kDoc = "lets the learning rate fall to 0 along a polynomial";

  PolynomialLR(Optimizer& optimizer, const Options& options);

  std::string_view type() const override { return kName; }

 protected:
  double next_rate(size_t group) const override;

 private:
  Options options_;
};

}  // namespace tapewire
