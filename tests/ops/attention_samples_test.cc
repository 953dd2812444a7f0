#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto tensors = [] { return Args{variable({2, 3, 4}), variable({2, 5, 4}), variable({2, 5, 2})}; };
  out.emplace_back("scaled_dot_product_attention", tensors());
  out.push_back(Sample("scaled_dot_product_attention", tensors()).named("is_causal", true).named("scale", 0.3));
  out.push_back(Sample("scaled_dot_product_attention", tensors()).named("dropout_p", 0.4));
  out.emplace_back("scaled_dot_product_attention",
                   Args{variable({3, 4}), variable({2, 3, 4}), variable({2, 3, 2}), variable({3, 3})});
  // The last query sees nothing.
  const Tensor seen = Tensor::of<bool>({true, false, true, true, false, false}, {3, 2});
  out.emplace_back("scaled_dot_product_attention", Args{variable({3, 4}), variable({2, 4}), variable({2, 4}), seen});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
