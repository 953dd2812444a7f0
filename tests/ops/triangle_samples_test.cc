#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"tril", "triu"}) {
    out.emplace_back(op, Args{variable({3, 4})});
    out.emplace_back(op, Args{variable({2, 3, 3}), 1});
    out.emplace_back(op, Args{variable({4, 3}), -2});
    out.emplace_back(op, Args{variable({2, 2}), -5});
  }
  out.emplace_back("diag", Args{variable({3})});
  out.emplace_back("diag", Args{variable({3}), -1});
  out.emplace_back("diag", Args{variable({3, 4}), 1});
  out.emplace_back("trace", Args{variable({3, 4})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
