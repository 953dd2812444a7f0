#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("adaptive_avg_pool1d", Args{variable({2, 2, 5}), 3});
  out.emplace_back("adaptive_avg_pool1d", Args{variable({2, 3}), 5});
  out.emplace_back("adaptive_avg_pool2d", Args{variable({2, 1, 4, 5}), Tuple{3, Value()}});
  out.emplace_back("adaptive_avg_pool2d", Args{variable({2, 4, 5}), 1});
  out.emplace_back("adaptive_avg_pool3d", Args{variable({1, 1, 2, 3, 4}), Tuple{2, 2, 3}});
  for (const bool indices_too : {false, true}) {
    out.emplace_back("adaptive_max_pool1d", Args{distinct({2, 2, 5}), 3, indices_too});
    out.emplace_back("adaptive_max_pool2d", Args{distinct({2, 4, 5}), Tuple{Value(), 2}, indices_too});
    out.emplace_back("adaptive_max_pool3d", Args{distinct({1, 1, 2, 3, 4}), Tuple{2, 2, 3}, indices_too});
  }
  out.emplace_back("adaptive_max_pool_with_indices", Args{distinct({1, 2, 5}), Tuple{1, 2, 2}});
  out.emplace_back("adaptive_avg_pool", Args{variable({1, 2, 5}), Tuple{1, 2, 3}});
  out.emplace_back("adaptive_avg_pool_backward", Args{variable({1, 2, 3}), Tuple{1, 2, 5}});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
