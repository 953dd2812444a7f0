#include "core/nn/upsampling.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/base/suggest.h"
#include "core/nn/registry.h"

namespace tapewire {
namespace {

constexpr std::array<std::string_view, 4> kInterpolating{"linear", "bilinear", "bicubic", "trilinear"};
constexpr std::array<std::string_view, 3> kPicking{"nearest", "nearest-exact", "area"};

void check(std::string_view layer, const UpsampleOptions& o) {
  if (o.size && o.scale_factor) fail(layer, ": only one of size or scale_factor should be defined");
  if (!o.size && !o.scale_factor) fail(layer, ": either size or scale_factor should be defined");
  const size_t count = o.size ? o.size->size() : o.scale_factor->size();
  if (count < 1 || count > 3) {
    fail(layer, ": ", o.size ? "size" : "scale_factor", " must be one number or up to 3, got ", count);
  }
  if (o.size) spread_sizes(layer, "size", *o.size, count, 1);
  for (const double scale : o.scale_factor.value_or(std::vector<double>{})) {
    if (!(scale > 0) || std::isinf(scale)) {
      fail(layer, ": scale_factor must be a positive number, got ", Value(scale).repr());
    }
  }
  if (std::ranges::find(kInterpolating, o.mode) != kInterpolating.end()) return;
  if (std::ranges::find(kPicking, o.mode) == kPicking.end()) {
    fail(layer, ": mode must be one of nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact, got ",
         quoted(o.mode));
  }
  if (o.align_corners) {
    fail(layer,
         ": align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
         "trilinear");
  }
}

template <class T>
std::string given_repr(const T& given) {
  const Value value = AttributeType<T>::to(given);
  return value.tuple().size() == 1 ? value.tuple()[0].repr() : value.repr();
}

}  // namespace

UpsampleLayer::UpsampleLayer(std::string_view name, const UpsampleOptions& o)
    : attrs_{.size = o.size,
             .scale_factor = o.scale_factor,
             .mode = o.mode,
             .align_corners = o.align_corners,
             .recompute_scale_factor = o.recompute_scale_factor} {
  check(name, o);
}

std::string UpsampleLayer::extra_repr() const {
  const std::string extent = attrs_.scale_factor ? str_cat("scale_factor=", given_repr(*attrs_.scale_factor))
                                                 : str_cat("size=", given_repr(*attrs_.size));
  return str_cat(extent, ", mode=", Value(attrs_.mode).repr());
}

namespace {
const ModuleFamily kFamily{module_def<Upsample>(), module_def<UpsamplingNearest2d>(),
                           module_def<UpsamplingBilinear2d>()};
}  // namespace

}  // namespace tapewire
