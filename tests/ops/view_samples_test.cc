#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  out.push_back(Sample("view", Args{variable({2, 6}), Tuple{3, -1}}).row_major_only());
  out.push_back(Sample("view", Args{variable({2, 6}), 4, 3}).row_major_only());
  out.emplace_back("view", Args{variable({}), Tuple{1, 1}});
  out.push_back(Sample("view_as", Args{variable({2, 6}), constant({3, 4})}).row_major_only());
  out.emplace_back("reshape", Args{variable({2, 6}), Tuple{3, -1}});
  out.emplace_back("reshape", Args{variable({2, 3}), 6});
  out.emplace_back("reshape_as", Args{variable({2, 6}), constant({3, 4})});
  out.emplace_back("flatten", Args{variable({2, 3, 2})});
  out.emplace_back("flatten", Args{variable({2, 3, 2}), 1});
  out.emplace_back("flatten", Args{variable({2, 3, 2}), 0, 1});
  out.emplace_back("flatten", Args{variable({})});
  out.emplace_back("flatten", Args{variable({3, 2}), 1, 1});
  out.emplace_back("ravel", Args{variable({2, 3})});
  out.emplace_back("ravel", Args{variable({})});
  out.emplace_back("unflatten", Args{variable({2, 6}), 1, Tuple{2, 3}});
  out.emplace_back("unflatten", Args{variable({2, 6}), -1, Tuple{-1, 2, 1}});
  out.emplace_back("unflatten", Args{variable({4, 0}), 1, Tuple{2, 0, 0}});
  out.emplace_back("expand", Args{variable({3, 1}), Tuple{2, 3, 4}});
  out.emplace_back("expand", Args{variable({3, 1}), -1, 2});
  out.emplace_back("expand", Args{variable({}), Tuple{2, 2}});
  out.emplace_back("expand_as", Args{variable({3, 1}), constant({2, 3, 2})});
  out.emplace_back("broadcast_to", Args{variable({3, 1}), Tuple{2, 3, 4}});
  out.emplace_back("permute", Args{variable({2, 3, 2}), Tuple{2, 0, 1}});
  out.emplace_back("permute", Args{variable({2, 3}), -1, 0});
  out.emplace_back("transpose", Args{variable({2, 3, 2}), 0, -1});
  out.emplace_back("transpose", Args{variable({}), 0, 0});
  out.emplace_back("swapaxes", Args{variable({2, 3, 2}), 0, -1});
  out.emplace_back("movedim", Args{variable({2, 3, 2}), 0, -1});
  out.emplace_back("movedim", Args{variable({2, 3, 2, 1}), Tuple{3, -3}, Tuple{0, 2}});
  out.emplace_back("movedim", Args{variable({}), 0, 0});
  out.emplace_back("t", Args{variable({2, 3})});
  out.emplace_back("t", Args{variable({3})});
  out.emplace_back("t", Args{variable({})});
  out.emplace_back("unsqueeze", Args{variable({2, 3}), 1});
  out.emplace_back("unsqueeze", Args{variable({2, 3}), -1});
  out.emplace_back("squeeze", Args{variable({1, 3, 1})});
  out.emplace_back("squeeze", Args{variable({1, 3, 1}), 0});
  out.emplace_back("squeeze", Args{variable({1, 3, 1}), 1});
  out.emplace_back("squeeze", Args{variable({1, 3, 1, 1}), Tuple{0, -1}});
  out.emplace_back("alias", Args{variable({2, 3})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
