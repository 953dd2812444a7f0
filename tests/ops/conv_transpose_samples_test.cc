#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("conv_transpose1d", Args{variable({2, 3, 4}), variable({3, 2, 3}), variable({2})});
  out.emplace_back("conv_transpose1d", Args{variable({2, 4}), variable({2, 2, 2}), variable({4}), 3, 1, 2, 2, 4});
  out.emplace_back("conv_transpose2d", Args{variable({1, 2, 2, 3}), variable({2, 1, 3, 2}), variable({1}), 2, 1, 1});
  out.emplace_back("conv_transpose2d", Args{variable({2, 2, 2}), variable({2, 1, 2, 2}), Value(), Tuple{3, 1},
                                            Tuple{1, 0}, Tuple{2, 1}, 2, Tuple{1, 2}});
  out.emplace_back("conv_transpose3d", Args{variable({1, 2, 2, 1, 2}), variable({2, 1, 2, 2, 1}), variable({1})});
  out.emplace_back("conv_transpose1d", Args{indices({1, -2, 3, 4}, {1, 2, 2}), indices({1, 2, 3, 4}, {2, 1, 2})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
