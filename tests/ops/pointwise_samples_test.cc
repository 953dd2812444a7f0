#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"neg", "abs", "sign", "exp", "square", "reciprocal", "sin", "cos"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
  }
  for (const char* op : {"log", "sqrt", "rsqrt"}) {
    out.emplace_back(op, Args{positive({2, 3})});
    out.emplace_back(op, Args{positive({})});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
