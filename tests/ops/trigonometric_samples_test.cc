#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"sin", "cos", "atan", "sinh", "cosh", "asinh"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{variable({})});
    out.emplace_back(op, Args{indices({0, 1, -2}, {3})});
  }
  out.emplace_back("tan", Args{variable({2, 3}, -1.2, 1.2)});
  for (const char* op : {"asin", "acos", "atanh"}) {
    out.emplace_back(op, Args{variable({2, 3}, -0.9, 0.9)});
    out.emplace_back(op, Args{variable({}, -0.9, 0.9)});
  }
  out.emplace_back("acosh", Args{variable({2, 3}, 1.2, 3)});
  for (const char* op : {"atan2", "hypot"}) {
    out.emplace_back(op, Args{variable({2, 3}), variable({2, 3})});
    out.emplace_back(op, Args{variable({2, 3}), variable({3})});
    out.emplace_back(op, Args{variable({1, 3}), variable({2, 1})});
    out.emplace_back(op, Args{variable({3}), variable({})});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
