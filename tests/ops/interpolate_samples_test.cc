#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto to = [&](const Shape& from, const char* mode, Value size) {
    return Sample("interpolate", Args{variable(from)}).named("mode", mode).named("size", std::move(size));
  };
  const auto by = [&](const Shape& from, const char* mode, Value factor) {
    return Sample("interpolate", Args{variable(from)}).named("mode", mode).named("scale_factor", std::move(factor));
  };
  for (const char* mode : {"nearest", "nearest-exact", "area", "linear"}) {
    out.push_back(to({2, 1, 4}, mode, 3));
    out.push_back(by({1, 2, 4}, mode, 1.7));
  }
  for (const char* mode : {"nearest", "nearest-exact", "area", "bilinear", "bicubic"}) {
    out.push_back(to({1, 2, 4, 3}, mode, Tuple{3, 5}));
    out.push_back(by({1, 1, 4, 3}, mode, Tuple{0.6, 1.7}));
  }
  for (const char* mode : {"nearest", "nearest-exact", "area", "trilinear"})
    out.push_back(to({1, 1, 2, 3, 2}, mode, 3));
  out.push_back(to({1, 2, 4}, "linear", 6).named("align_corners", true));
  out.push_back(to({1, 1, 4, 3}, "bicubic", 5).named("align_corners", true));
  out.push_back(by({1, 1, 4, 3}, "bilinear", 1.4).named("recompute_scale_factor", true));
  out.push_back(to({1, 1, 5, 4}, "bilinear", Tuple{2, 3}).named("antialias", true));
  out.push_back(to({1, 1, 5, 4}, "bicubic", Tuple{2, 6}).named("antialias", true));
  out.push_back(Sample("upsample_nearest", Args{variable({1, 1, 2, 3})}).named("scale_factor", 2));
  out.push_back(Sample("upsample_bilinear", Args{variable({1, 1, 2, 3})}).named("size", 4));
  for (const char* op : {"resample", "resample_backward"}) {
    out.emplace_back(op, Args{variable({1, 2, 3}), "linear", 3, 3});
    out.emplace_back(op, Args{variable({1, 2, 3, 3}), "cubic", Tuple{3, 3}, Tuple{3, 3}});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
