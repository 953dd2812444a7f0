#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"floor", "ceil", "trunc", "round", "frac"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
    if (op != std::string("frac")) out.emplace_back(op, Args{indices({0, 7, -2}, {3})});
  }
  out.push_back(Sample("round", Args{variable({2, 3})}).named("decimals", 2));
  out.push_back(Sample("round", Args{variable({3}, 100, 300)}).named("decimals", -1));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
