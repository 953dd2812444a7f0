#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"var", "std", "var_mean", "std_mean"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({4}), true});
    out.emplace_back(op, Args{variable({2, 3}), false});
    out.emplace_back(op, Args{variable({2, 3}), 1});
    out.emplace_back(op, Args{variable({2, 3, 2}), Tuple{0, -1}, false, true});
    out.push_back(Sample(op, Args{variable({2, 3})}).named("unbiased", false));
    out.push_back(Sample(op, Args{variable({2, 3}), 1}).named("correction", 2).named("keepdim", true));
    out.push_back(Sample(op, Args{variable({3})}).named("correction", 0.5));
    out.push_back(Sample(op, Args{variable({3})}).named("correction", Value()));
  }
  for (const char* op : {"native_var_mean", "native_std_mean"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.push_back(Sample(op, Args{variable({3, 2}), 0}).named("keepdim", true).named("correction", 0.0));
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
