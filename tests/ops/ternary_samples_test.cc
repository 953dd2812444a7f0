#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"addcmul", "addcdiv"}) {
    out.emplace_back(op, Args{variable({2, 3}), variable({2, 3}), variable({2, 3})});
    out.emplace_back(op, Args{variable({3}), variable({2, 1}), variable({3})});
    out.push_back(Sample(op, Args{variable({2, 3}), variable({3}), variable({2, 1})}).named("value", 2.5));
    out.push_back(Sample(op, Args{variable({}), variable({}), variable({})}).named("value", -2));
  }
  out.emplace_back("lerp", Args{variable({2, 3}), variable({2, 3}), 0.3});
  out.emplace_back("lerp", Args{variable({2, 3}), variable({3}), 0.8});
  out.emplace_back("lerp", Args{variable({3}), variable({2, 3}), variable({2, 1})});
  out.emplace_back("lerp", Args{variable({2, 3}), variable({2, 3}), variable({})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
