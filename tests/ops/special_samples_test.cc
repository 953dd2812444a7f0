#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"erf", "erfc"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
    out.emplace_back(op, Args{indices({0, 1, -1}, {3})});
  }
  for (const char* op : {"lgamma", "digamma"}) {
    out.emplace_back(op, Args{positive({2, 3})});
    out.emplace_back(op, Args{variable({2}, -2.6, -2.4)});
    out.emplace_back(op, Args{indices({1, 5}, {2})});
  }
  for (const int n : {0, 1, 2, 3}) {
    out.emplace_back("polygamma", Args{positive({2, 3}), n});
    out.emplace_back("polygamma", Args{variable({2}, -1.7, -1.3), n});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
