#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto variance = [] { return constant({3}, 0.5, 2); };
  for (const char* op : {"batch_norm", "native_batch_norm"}) {
    out.emplace_back(op, Args{variable({4, 3}), constant({3}), variance(), variable({3}), variable({3}), true});
    out.emplace_back(op, Args{variable({2, 3, 2, 2}), Value(), Value(), variable({3}), variable({3}), true});
    out.emplace_back(op, Args{variable({2, 3, 2}), Value(), Value(), Value(), Value(), true});
    out.emplace_back(op, Args{variable({2, 3, 2}), constant({3}), variance(), variable({3}), variable({3}), false});
    out.emplace_back(op, Args{variable({2, 3}), constant({3}), variance()});
    out.push_back(Sample(op, Args{constant({3, 3}), Value(), Value(), variable({3}), Value(), true}).named("eps", 0.1));
  }
  out.emplace_back("local_response_norm", Args{variable({2, 5, 3}), 3});
  out.push_back(Sample("local_response_norm", Args{variable({1, 4, 2, 2}), 2}).named("alpha", 0.5).named("beta", 1.5));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
