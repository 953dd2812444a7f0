#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("split_with_sizes", Args{variable({5, 2}), Tuple{1, 0, 4}});
  out.emplace_back("split_with_sizes", Args{variable({2, 5}), Tuple{2, 3}, -1});
  out.emplace_back("split", Args{variable({5, 2}), 2});
  out.emplace_back("split", Args{variable({2, 4}), 2, 1});
  out.emplace_back("split", Args{variable({2, 5}), Value::list({2, 3}), -1});
  out.emplace_back("chunk", Args{variable({5, 2}), 3});
  out.emplace_back("chunk", Args{variable({2, 5}), 7, 1});
  out.emplace_back("chunk", Args{variable({0, 5}), 3});
  out.emplace_back("tensor_split", Args{variable({5, 2}), 3});
  out.emplace_back("tensor_split", Args{variable({2, 5}), Value::list({1, -1, 9}), 1});
  out.emplace_back("tensor_split", Args{variable({5}), indices({2, 1}, {2})});
  out.emplace_back("tensor_split", Args{variable({5}), indices({2}, {}), 0});
  out.emplace_back("unbind", Args{variable({3, 2})});
  out.emplace_back("unbind", Args{variable({3, 2}), -1});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
