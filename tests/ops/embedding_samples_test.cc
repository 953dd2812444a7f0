#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  // Rows that are looked up once and not the padding: elsewhere the gradient is by intent not the derivative.
  const auto rows = [] { return indices({3, 0, 1, 4}, {2, 2}); };
  out.emplace_back("embedding", Args{rows(), variable({5, 2})});
  out.emplace_back("embedding", Args{indices({2}, {}), variable({3, 2})});
  out.emplace_back("embedding", Args{Tensor::of<int32_t>({1, 1, 0}), variable({3, 2})});
  out.push_back(
      Sample("embedding", Args{rows(), variable({5, 2})}).named("padding_idx", 2).named("scale_grad_by_freq", true));
  out.emplace_back("embedding_lookup", Args{rows(), variable({5, 2})});
  out.push_back(
      Sample("embedding_backward", Args{variable({2, 2, 3}), rows()}).named("rows", 5).named("padding_idx", 1));
  out.emplace_back("embedding_scale_grad", Args{variable({2, 2, 3}), rows()});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
