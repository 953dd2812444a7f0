#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op :
       {"relu6", "hardtanh", "hardsigmoid", "hardswish", "leaky_relu", "hardshrink", "softshrink", "rrelu"}) {
    out.emplace_back(op, Args{variable({2, 5})});
    out.emplace_back(op, Args{variable({}, -5, 7)});
    out.emplace_back(op, Args{variable({6}, -5, 7)});
  }
  out.emplace_back("relu6", Args{indices({-1, 3, 9}, {3})});
  out.emplace_back("hardtanh", Args{indices({-3, 0, 3}, {3})});
  out.emplace_back("hardtanh", Args{variable({2, 3}), -0.5, 0.7});
  out.emplace_back("leaky_relu", Args{variable({2, 3}), 0.3});
  out.emplace_back("hardshrink", Args{variable({2, 3}), 1.1});
  out.emplace_back("softshrink", Args{variable({2, 3}), 0.9});
  out.emplace_back("threshold", Args{variable({2, 3}), 0.2, -7});
  out.emplace_back("threshold", Args{indices({-3, 0, 3}, {3}), 0, 20});
  out.push_back(Sample("rrelu", Args{variable({2, 5})}).named("training", true));
  out.push_back(Sample("rrelu", Args{variable({2, 5}), 0.3, 0.9}).named("training", true));
  for (const char* op : {"prelu", "prelu_elements"}) {
    out.emplace_back(op, Args{variable({2, 3}), variable({3})});
    out.emplace_back(op, Args{variable({2, 3}), variable({1})});
    out.emplace_back(op, Args{variable({2, 3}), 0.2});
  }
  out.emplace_back("prelu", Args{variable({2, 3, 4}), variable({3})});
  out.emplace_back("prelu", Args{variable({}), variable({})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
