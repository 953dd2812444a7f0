#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const Tensor index = indices({0, 2, 1, 1, 0, 0}, {2, 3});
  out.emplace_back("gather", Args{variable({3, 3}), 0, index});
  out.push_back(Sample("gather", Args{variable({2, 3}), -1, index}).named("sparse_grad", true));
  out.emplace_back("gather", Args{variable({}), 0, indices({0, 0}, {2})});
  out.emplace_back("gather", Args{variable({3}), 0, indices({2}, {})});
  const Tensor apart = indices({2, 0, 1, 1, 2, 0}, {2, 3});
  out.emplace_back("scatter", Args{variable({3, 3}), 0, apart, variable({2, 4})});
  out.emplace_back("scatter", Args{variable({2, 3}), -1, apart, variable({2, 3})});
  out.emplace_back("scatter", Args{variable({3, 3}), 0, apart, 2.5});
  out.push_back(Sample("scatter", Args{variable({3, 3}), 0, apart}).named("value", variable({})));
  out.emplace_back("scatter", Args{variable({}), 0, indices({0}, {}), variable({})});
  out.push_back(Sample("scatter", Args{constant({3, 3}), 0, index, constant({2, 3})}).named("reduce", "add"));
  out.push_back(Sample("scatter", Args{constant({3, 3}), 0, index, 3}).named("reduce", "multiply"));
  out.emplace_back("scatter_add", Args{variable({3, 3}), 0, index, variable({2, 3})});
  out.emplace_back("scatter_add", Args{variable({4}), 0, indices({1, 1, 3}, {3}), variable({5})});
  out.emplace_back("take_along_dim", Args{variable({2, 3}), indices({5, 0}, {2})});
  out.emplace_back("take_along_dim", Args{variable({1, 3}), indices({1, 2, 0, 0}, {2, 2}), 1});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
