#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"sum", "mean"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
    out.emplace_back(op, Args{variable({2, 3}), 1});
    out.emplace_back(op, Args{variable({2, 3, 2}), Tuple{0, -1}});
    out.push_back(Sample(op, Args{variable({2, 3, 2}), Tuple{1}}).named("keepdim", true));
    out.push_back(Sample(op, Args{variable({2, 3}), Tuple{}}).named("keepdim", true));
    out.push_back(Sample(op, Args{variable({2, 3})}).named("dtype", DType::kFloat64));
  }
  out.emplace_back("sum", Args{indices({1, 2, 3, 4}, {2, 2}), 0});
  out.emplace_back("argmax", Args{distinct({2, 3})});
  out.emplace_back("argmax", Args{distinct({2, 3}), 1});
  out.push_back(Sample("argmax", Args{distinct({2, 3, 2}), -2}).named("keepdim", true));
  out.emplace_back("argmax", Args{indices({1, 5, 3}, {3}), 0});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
