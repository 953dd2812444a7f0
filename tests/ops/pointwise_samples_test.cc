#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"neg", "positive", "abs", "sign", "square", "reciprocal"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
  }
  for (const char* op : {"sqrt", "rsqrt"}) {
    out.emplace_back(op, Args{positive({2, 3})});
    out.emplace_back(op, Args{positive({})});
  }
  for (const char* op : {"neg", "abs", "sign", "square", "sqrt"}) out.emplace_back(op, Args{indices({1, 4, 0}, {3})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
