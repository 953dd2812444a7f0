#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.emplace_back("select", Args{variable({3, 4}), 1, -2});
  out.emplace_back("select", Args{variable({3}), 0, 2});
  out.emplace_back("select", Args{variable({0, 4}), 1, 3});
  out.emplace_back("slice", Args{variable({5, 3}), 0, 1, 5, 2});
  out.emplace_back("slice", Args{variable({3, 5}), -1, -4, Value()});
  out.emplace_back("slice", Args{variable({3, 5}), 1, 5, 9});
  out.emplace_back("slice", Args{variable({4})});
  out.emplace_back("narrow", Args{variable({3, 5}), 1, 2, 2});
  out.emplace_back("narrow", Args{variable({3, 5}), -1, -3, 2});
  out.emplace_back("narrow", Args{variable({3, 5}), 0, indices({1}, {}), 2});
  out.emplace_back("narrow", Args{variable({3, 5}), 0, 3, 0});
  out.emplace_back("diagonal", Args{variable({3, 4})});
  out.emplace_back("diagonal", Args{variable({3, 2, 4}), 1, 0, -1});
  out.emplace_back("diagonal", Args{variable({3, 4}), -2});
  out.emplace_back("diagonal", Args{variable({3, 4}), 5});
  out.emplace_back("unfold", Args{variable({7}), 0, 3, 2});
  out.emplace_back("unfold", Args{variable({4, 3}), 0, 2, 1});
  out.emplace_back("unfold", Args{variable({}), 0, 1, 1});
  out.emplace_back("unfold", Args{variable({4}), 0, 4, 9});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
