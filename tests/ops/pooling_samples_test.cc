#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("max_pool2d", Args{distinct({2, 1, 4, 4}), 2});
  out.emplace_back("max_pool2d", Args{distinct({2, 4, 3}), Tuple{2, 1}});
  out.push_back(Sample("max_pool2d", Args{distinct({1, 2, 5, 4}), 3}).named("stride", 2).named("padding", 1));
  out.push_back(Sample("max_pool2d", Args{distinct({1, 1, 5, 5}), 2}).named("dilation", 2).named("stride", 1));
  out.push_back(Sample("max_pool2d", Args{distinct({1, 1, 5, 4}), 2}).named("ceil_mode", true));
  out.emplace_back("max_pool", Args{distinct({2, 1, 4}), 2});
  out.emplace_back("max_pool", Args{distinct({1, 1, 2, 3, 2}), Tuple{2, 2, 1}});
  out.push_back(Sample("scatter_planes", Args{variable({1, 2, 2}), indices({3, 0, 1, 1}, {1, 2, 2})})
                    .named("size", Tuple{1, 2, 4}));
  out.emplace_back("gather_planes", Args{variable({1, 2, 2, 2}), indices({3, 0, 1, 1}, {1, 2, 2, 1})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
