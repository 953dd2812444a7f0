#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const Tensor index = indices({2, 0, 2}, {3});
  const Tensor apart = indices({2, 0}, {2});
  out.emplace_back("index_select", Args{variable({3, 2}), 0, index});
  out.emplace_back("index_select", Args{variable({2, 3}), -1, index});
  out.emplace_back("index_select", Args{variable({}), 0, indices({0}, {1})});
  out.emplace_back("index_select", Args{variable({3}), 0, indices({1}, {})});
  out.emplace_back("index_add", Args{variable({3, 2}), 0, index, variable({3, 2})});
  out.push_back(Sample("index_add", Args{variable({2, 3}), -1, index, variable({2, 3})}).named("alpha", 0.5));
  out.emplace_back("index_add", Args{variable({}), 0, indices({0}, {1}), variable({})});
  out.emplace_back("index_copy", Args{variable({3, 2}), 0, apart, variable({2, 2})});
  out.emplace_back("index_copy", Args{variable({2, 3}), -1, apart, variable({2, 2})});
  out.emplace_back("index_copy", Args{variable({3}), 0, indices({1}, {}), variable({})});
  out.emplace_back("index_copy", Args{variable({}), 0, indices({0}, {1}), variable({1})});
  out.emplace_back("index_fill", Args{variable({3, 2}), 0, apart, 2.5});
  out.emplace_back("index_fill", Args{variable({2, 3}), -1, indices({-1, 0}, {2}), variable({})});
  out.emplace_back("index_fill", Args{variable({}), 0, indices({0}, {1}), variable({})});
  out.emplace_back("one_hot", Args{indices({0, 2, 1}, {3})});
  out.emplace_back("one_hot", Args{indices({0, 2, 1, 1}, {2, 2}), 4});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
