#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("mm", Args{variable({2, 3}), variable({3, 4})});
  out.emplace_back("mm", Args{constant({2, 3}), variable({3, 1})});
  out.emplace_back("mm", Args{variable({1, 3}), constant({3, 2})});
  out.emplace_back("bmm", Args{variable({2, 2, 3}), variable({2, 3, 2})});
  out.emplace_back("bmm", Args{variable({2, 1, 3}), constant({2, 3, 2})});
  out.emplace_back("matmul", Args{variable({3}), variable({3})});
  out.emplace_back("matmul", Args{variable({2, 3}), variable({3})});
  out.emplace_back("matmul", Args{variable({3}), variable({3, 2})});
  out.emplace_back("matmul", Args{variable({2, 3}), variable({3, 2})});
  out.emplace_back("matmul", Args{variable({2, 2, 3}), variable({3, 2})});
  out.emplace_back("matmul", Args{variable({2, 2, 3}), variable({3})});
  out.emplace_back("matmul", Args{variable({3}), variable({2, 3, 2})});
  out.emplace_back("matmul", Args{variable({2, 3}), variable({2, 3, 2})});
  out.emplace_back("matmul", Args{variable({2, 1, 2, 3}), variable({2, 3, 1})});
  out.emplace_back("linear", Args{variable({2, 3}), variable({4, 3}), variable({4})});
  out.emplace_back("linear", Args{variable({2, 3}), variable({4, 3})});
  out.emplace_back("linear", Args{variable({3}), variable({2, 3}), variable({2})});
  out.emplace_back("linear", Args{variable({2, 2, 3}), variable({2, 3}), variable({2})});
  out.emplace_back("linear", Args{constant({2, 3}), constant({2, 3}), variable({2})});
  out.emplace_back("linear", Args{constant({2, 2, 3}), variable({2, 3})});
  out.emplace_back("matmul", Args{variable({2, 2, 0}), variable({0, 3})});
  out.emplace_back("mm", Args{indices({1, 2, 3, 4}, {2, 2}), indices({5, 6}, {2, 1})});
  out.emplace_back("linear", Args{indices({1, 2, 3, 4}, {2, 2}), indices({5, 6}, {1, 2})});
  out.emplace_back("linear", Args{variable({2, 3}), variable({3}), variable({})});
  out.emplace_back("linear", Args{variable({3}), variable({3})});
  out.emplace_back("linear", Args{constant({2, 2, 3}), constant({3}), variable({})});
  out.emplace_back("bilinear", Args{variable({2, 2}), variable({2, 3}), variable({2, 2, 3}), variable({2})});
  out.emplace_back("bilinear", Args{variable({2}), variable({3}), variable({1, 2, 3})});
  out.emplace_back("bilinear", Args{variable({2, 1, 2}), variable({2, 1, 2}), variable({2, 2, 2})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
