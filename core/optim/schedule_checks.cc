#include "core/optim/schedule_checks.h"

#include <cmath>

#include "core/base/error.h"
#include "core/tensor/value.h"

namespace tapewire {

void check_count(std::string_view type, std::string_view name, int64_t value, int64_t least) {
  if (value < least) fail(type, ": ", name, " must be at least ", least, ", got ", value);
  if (value > int64_t{1} << 53) fail(type, ": ", name, " must be at most 2^53, got ", value);
}

void check_finite_factor(std::string_view type, std::string_view name, double value) {
  if (!(value >= 0)) fail(type, ": ", name, " must not be negative, got ", Value(value).repr());
  check_finite(type, name, value);
}

void check_finite(std::string_view type, std::string_view name, double value) {
  if (!std::isfinite(value)) fail(type, ": ", name, " must be finite, got ", Value(value).repr());
}

std::vector<double> per_group(std::string_view name, const std::vector<double>& values, size_t groups) {
  if (values.size() == 1) return std::vector<double>(groups, values[0]);
  if (values.size() != groups) {
    fail(name, " must have the same length as optimizer.param_groups. ", name, " has ", values.size(),
         " values, param_groups has ", groups, ".");
  }
  return values;
}

void check_cycled_momentum(const Optimizer& optimizer, const std::vector<double>& base,
                           const std::vector<double>& most) {
  const size_t groups = optimizer.group_count();
  const std::vector<double> low = per_group("base_momentum", base, groups);
  const std::vector<double> high = per_group("max_momentum", most, groups);
  for (size_t g = 0; g < groups; ++g) {
    if (!optimizer.momentum(g)) {
      fail("optimizer must support momentum or beta1 with `cycle_momentum` option enabled");
    }
    optimizer.check_momentum(g, low[g]);
    optimizer.check_momentum(g, high[g]);
  }
}

}  // namespace tapewire
