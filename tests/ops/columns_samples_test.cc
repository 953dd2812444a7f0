#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("im2col", Args{variable({1, 2, 3, 4}), 2});
  out.emplace_back("im2col", Args{variable({2, 3, 4}), Tuple{2, 1}, Tuple{1, 3}, Tuple{1, 0}, Tuple{2, 1}});
  out.emplace_back("col2im", Args{variable({1, 8, 6}), Tuple{3, 4}, 2});
  out.emplace_back("col2im", Args{variable({4, 8}), Tuple{3, 4}, Tuple{2, 1}, Tuple{1, 3}, Tuple{1, 0}, Tuple{2, 1}});
  out.emplace_back("im2col_batched", Args{variable({2, 1, 3, 3}), 2, 1, 1, 2});
  out.emplace_back("col2im_batched", Args{variable({2, 4, 4}), 3, 2, 1, 1, 2});
  out.emplace_back("pixel_shuffle", Args{variable({4, 2, 1}), 2});
  out.emplace_back("pixel_shuffle", Args{variable({2, 4, 1, 2}), 2});
  out.emplace_back("pixel_unshuffle", Args{variable({1, 2, 4}), 2});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
