#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("normalize", Args{variable({2, 3})});
  out.push_back(Sample("normalize", Args{variable({2, 3, 2})}).named("p", 3).named("dim", -2));
  out.emplace_back("cosine_similarity", Args{variable({2, 3}), variable({2, 3})});
  out.emplace_back("cosine_similarity", Args{variable({1, 2, 3}), variable({2, 1, 3}), -1});
  out.emplace_back("pairwise_distance", Args{variable({2, 3}), variable({2, 3})});
  out.push_back(
      Sample("pairwise_distance", Args{variable({2, 3}), variable({3})}).named("p", 3).named("keepdim", true));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
