#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("sort", Args{distinct({5})});
  out.emplace_back("sort", Args{distinct({})});
  out.emplace_back("sort", Args{distinct({2, 3, 2}), 1, true});
  out.push_back(Sample("sort", Args{distinct({3, 2}), 0}).named("stable", true).named("descending", true));
  out.emplace_back("sort", Args{indices({3, 1, 2, 1}, {4})});
  out.emplace_back("topk", Args{distinct({5}), 2});
  out.emplace_back("topk", Args{distinct({}), 1});
  out.emplace_back("topk", Args{distinct({2, 4}), 3, -1, false});
  out.emplace_back("topk", Args{distinct({4, 2}), 2, 0, true, false});
  out.emplace_back("topk", Args{indices({3, 1, 2, 1}, {4}), 2});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
