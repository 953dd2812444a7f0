#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("cat", Args{Tuple{variable({2, 3}), variable({1, 3})}});
  out.emplace_back("cat", Args{Tuple{variable({2, 3}), constant({2, 1}), variable({2, 2})}, -1});
  out.emplace_back("cat", Args{Tuple{variable({0}), variable({2, 3})}, 1});
  out.emplace_back("cat", Args{Tuple{variable({0}), variable({0})}});
  out.emplace_back("cat", Args{Tuple{variable({2}), indices({1, 2, 3}, {3})}});
  out.emplace_back("stack", Args{Tuple{variable({2, 3}), variable({2, 3})}});
  out.emplace_back("stack", Args{Tuple{variable({2, 3}), constant({2, 3}), variable({2, 3})}, -1});
  out.emplace_back("stack", Args{Tuple{variable({}), variable({})}});
  out.emplace_back("hstack", Args{Tuple{variable({2}), variable({3})}});
  out.emplace_back("hstack", Args{Tuple{variable({2, 1}), variable({2, 3})}});
  out.emplace_back("hstack", Args{Tuple{variable({}), variable({})}});
  out.emplace_back("vstack", Args{Tuple{variable({3}), variable({3})}});
  out.emplace_back("vstack", Args{Tuple{variable({2, 3}), variable({1, 3})}});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
