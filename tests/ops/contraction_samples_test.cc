#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("mv", Args{variable({2, 3}), variable({3})});
  out.emplace_back("dot", Args{variable({3}), variable({3})});
  out.emplace_back("dot", Args{indices({1, 2, 3}, {3}), indices({1, 2, 3}, {3})});
  out.emplace_back("vdot", Args{variable({3}), variable({3})});
  out.emplace_back("inner", Args{variable({3}), variable({3})});
  out.emplace_back("inner", Args{variable({}), variable({2, 2})});
  out.emplace_back("inner", Args{variable({2, 3}), variable({4, 1, 3})});
  out.emplace_back("outer", Args{variable({2}), variable({3})});
  out.emplace_back("outer", Args{Tensor::of<bool>({true, false}), Tensor::of<bool>({true, true})});
  out.emplace_back("kron", Args{variable({2, 2}), variable({1, 3})});
  out.emplace_back("kron", Args{variable({2}), variable({2, 2})});
  out.emplace_back("kron", Args{variable({}), variable({2})});
  out.emplace_back("tensordot", Args{variable({2, 3, 2}), variable({3, 2, 2})});
  out.emplace_back("tensordot", Args{variable({2, 3}), variable({2}), 0});
  out.emplace_back("tensordot", Args{variable({2, 3}), variable({3, 2}), Tuple{Tuple{0, 1}, Tuple{1, -2}}});
  out.emplace_back("tensordot", Args{variable({2, 3}), variable({3, 2}), Tuple{-1, 0}});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
