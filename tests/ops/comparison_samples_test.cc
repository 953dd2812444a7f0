#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* op : {"eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"}) {
    out.emplace_back(op, Args{variable({2, 3}), variable({3})});
    out.emplace_back(op, Args{indices({1, 2, 3}, {3}), indices({3, 0, 3}, {3})});
    out.emplace_back(op, Args{Tensor::of<bool>({true, false}), Tensor::of<bool>({true, true})});
  }
  for (const char* op : {"eq", "ne", "lt", "le", "gt", "ge"}) out.emplace_back(op, Args{indices({1, 2, 3}, {3}), 2});
  for (const char* op : {"logical_not", "isnan", "isinf", "isfinite"}) {
    out.emplace_back(op, Args{variable({2, 3})});
    out.emplace_back(op, Args{indices({1, 0, 3}, {3})});
    out.emplace_back(op, Args{Tensor::of<bool>({true, false})});
  }
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
