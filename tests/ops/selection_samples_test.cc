#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const Tensor mask = Tensor::of<bool>({true, false, true, false, false, true}, {2, 3});
  out.emplace_back("where", Args{mask, variable({2, 3}), variable({2, 3})});
  out.emplace_back("where", Args{mask, variable({3}), variable({2, 1})});
  out.emplace_back("where", Args{Tensor::of<bool>({true, false}, {2, 1}), variable({2, 3}), 0.5});
  out.emplace_back("masked_fill", Args{variable({2, 3}), mask, 2.5});
  out.emplace_back("masked_fill", Args{variable({2, 3}), mask, variable({})});
  out.emplace_back("masked_fill", Args{variable({3}), mask, variable({})});
  out.emplace_back("masked_fill", Args{variable({2, 3}), Tensor::of<bool>({true, false}, {2, 1}), 1});
  out.emplace_back("fill", Args{variable({2, 3}), 2});
  out.emplace_back("fill", Args{variable({2, 3}), variable({})});
  out.emplace_back("fill", Args{indices({1, 2}, {2}), 3});
  out.emplace_back("nan_to_num", Args{variable({2, 3})});
  out.emplace_back("nan_to_num", Args{variable({}), 0.5, 1.0, -1.0});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
