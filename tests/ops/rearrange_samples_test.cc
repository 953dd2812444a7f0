#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("flip", Args{variable({2, 3}), Tuple{0, -1}});
  out.emplace_back("flip", Args{variable({2, 3, 2}), Tuple{1}});
  out.emplace_back("flip", Args{variable({2, 3}), Tuple{}});
  out.emplace_back("flip", Args{variable({}), Tuple{0}});
  out.emplace_back("fliplr", Args{variable({2, 3})});
  out.emplace_back("flipud", Args{variable({3})});
  for (const int k : {-5, 0, 1, 2, 3}) out.emplace_back("rot90", Args{variable({2, 3, 2}), k, Tuple{0, -1}});
  out.emplace_back("rot90", Args{variable({2, 3})});
  out.emplace_back("roll", Args{variable({2, 3}), 2});
  out.emplace_back("roll", Args{variable({2, 3}), -1, 1});
  out.emplace_back("roll", Args{variable({2, 3}), Tuple{4, 100, 1}, Tuple{0, 1, -1}});
  out.emplace_back("repeat", Args{variable({2, 3}), Tuple{2, 2, 3}});
  out.emplace_back("repeat", Args{variable({2, 1}), 1, 3});
  out.emplace_back("repeat", Args{variable({2}), Tuple{0}});
  out.emplace_back("repeat", Args{variable({}), Tuple{}});
  out.emplace_back("tile", Args{variable({2, 3}), Tuple{2}});
  out.emplace_back("tile", Args{variable({2}), 2, 1, 2});
  out.emplace_back("repeat_interleave", Args{variable({2, 3}), 2});
  out.emplace_back("repeat_interleave", Args{variable({2, 3}), 2, 1});
  out.emplace_back("repeat_interleave", Args{variable({2, 3}), indices({2, 0, 1}, {3}), -1});
  out.push_back(Sample("repeat_interleave", Args{variable({2}), Value::list({2, 3})}).named("output_size", 5));
  out.emplace_back("repeat_interleave", Args{indices({2, 0, 1}, {3})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
