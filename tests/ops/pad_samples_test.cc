#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("constant_pad_nd", Args{variable({2, 3}), Tuple{1, -1}, 2.5});
  out.emplace_back("pad", Args{variable({2, 3}), Tuple{1, 2}});
  out.emplace_back("pad", Args{variable({2, 3}), Tuple{0, 1, 2, -1}, "constant", -1.5});
  out.emplace_back("pad", Args{variable({2}), Tuple{}});
  for (const char* mode : {"reflect", "replicate", "circular"}) {
    out.emplace_back("pad", Args{variable({2, 4}), Tuple{2, 3}, mode});
    out.emplace_back("pad", Args{variable({1, 2, 3, 4}), Tuple{2, 1, 0, 2}, mode});
    out.emplace_back("pad", Args{variable({1, 2, 3, 2}), Tuple{1, 0, 1, 2, 0, 1}, mode});
    out.emplace_back("pad", Args{variable({1, 4, 3}), Tuple{-1, 1, 2, -2}, mode});
    out.emplace_back("border_pad", Args{variable({2, 4}), Tuple{2, 3}, mode});
    out.emplace_back("border_pad_backward", Args{variable({2, 9}), Tuple{2, 4}, Tuple{2, 3}, mode});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
