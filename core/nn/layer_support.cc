#include "core/nn/layer_support.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace tapewire {

Shape spread_sizes(std::string_view layer, const char* name, const Shape& given, size_t count, int64_t least) {
  if (given.size() != 1 && given.size() != count) {
    fail(layer, ": ", name, " must be one int or ", count, ", got ", to_string(given));
  }
  if (std::ranges::min(given) < least) {
    fail(layer, ": ", name, " must be at least ", least, ", got ", to_string(given));
  }
  if (std::ranges::max(given) > kMostSize) fail(layer, ": ", name, " is too large, got ", to_string(given));
  return given.size() == 1 ? Shape(count, given[0]) : given;
}

int64_t reach_of(std::string_view layer, const WindowRow& row) {
  int64_t starts = 0;
  int64_t window = 0;
  int64_t reach = 0;
  int64_t next = 0;
  if (__builtin_mul_overflow(row.size - 1, row.stride, &starts) ||
      __builtin_mul_overflow(row.kernel - 1, row.dilation, &window) || __builtin_add_overflow(starts, window, &reach) ||
      __builtin_add_overflow(reach, 1 - 2 * row.padding, &reach) || __builtin_add_overflow(reach, row.stride, &next)) {
    fail(layer, ": the output's size overflows");
  }
  return reach;
}

std::string sizes_repr(const Shape& sizes) { return AttributeType<Shape>::to(sizes).repr(); }

void check_eps(std::string_view layer, double eps) {
  if (!(eps >= 0) || std::isinf(eps)) {
    fail(layer, ": eps must be a number of at least 0, got ", Value(eps).repr());
  }
}

void check_finite(std::string_view layer, const char* name, double value) {
  if (!std::isfinite(value)) fail(layer, ": ", name, " must be a finite number, got ", Value(value).repr());
}

}  // namespace tapewire
