#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/optim/optimizer.h"

namespace tapewire {

/// What the options of schedules have in common. Each throws "StepLR: step_size must be ..., got ...".

/// A whole number from `least` to 2^53, which doubles tell apart.
void check_count(std::string_view type, std::string_view name, int64_t value, int64_t least);
/// Finite, and not below zero.
void check_finite_factor(std::string_view type, std::string_view name, double value);
/// Not NaN, not infinite.
void check_finite(std::string_view type, std::string_view name, double value);
/// One value for each group: one stands for all.
std::vector<double> per_group(std::string_view name, const std::vector<double>& values, size_t groups);

/// That the optimizer has a momentum, or betas, that can be moved between these: "optimizer must support momentum or
/// beta1 with `cycle_momentum` option enabled".
void check_cycled_momentum(const Optimizer& optimizer, const std::vector<double>& base,
                           const std::vector<double>& most);

}  // namespace tapewire
