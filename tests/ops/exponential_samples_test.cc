#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"exp", "exp2", "expm1"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
    out.emplace_back(op, Args{indices({0, 2, -1}, {3})});
  }
  for (const char* op : {"log", "log2", "log10", "log1p"}) {
    out.emplace_back(op, Args{positive({2, 3})});
    out.emplace_back(op, Args{positive({})});
    out.emplace_back(op, Args{indices({1, 2, 9}, {3})});
  }
  for (const char* op : {"logaddexp", "logaddexp2"}) {
    out.emplace_back(op, Args{variable({2, 3}), variable({2, 3})});
    out.emplace_back(op, Args{variable({3}), variable({2, 1})});
    out.emplace_back(op, Args{variable({}), constant({2})});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
