#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"maximum", "minimum", "fmax", "fmin", "clamp_min", "clamp_max"}) {
    out.emplace_back(op, Args{variable({2, 3}), variable({2, 3})});
    out.emplace_back(op, Args{variable({2, 1}), variable({3})});
    out.emplace_back(op, Args{variable({2, 3}), variable({3})});
    out.emplace_back(op, Args{variable({3}), variable({})});
    out.emplace_back(op, Args{indices({1, 5, 3}, {3}), indices({2, 4, 3}, {3})});
  }
  out.emplace_back("clamp_min", Args{variable({3}), 0.3});
  out.emplace_back("clamp_max", Args{variable({3}), 0.3});
  out.emplace_back("clamp", Args{variable({2, 3}), -0.5, 1});
  out.emplace_back("clamp", Args{variable({2, 3}), 1, -1});
  out.emplace_back("clamp", Args{variable({}), -0.5});
  out.emplace_back("clamp", Args{variable({2, 3}), Value(), 0.5});
  out.emplace_back("clamp", Args{variable({2, 3}), variable({2, 3}), variable({3})});
  out.emplace_back("clamp", Args{variable({2, 3}), variable({}), Value()});
  out.emplace_back("clamp", Args{variable({2, 1}), variable({3}), 0.7});
  out.emplace_back("clamp", Args{indices({1, 5, 3}, {3}), 2, 4});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
