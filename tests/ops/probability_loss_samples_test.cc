#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto probabilities = [](const Shape& sizes) { return variable(sizes, 0.2, 0.9); };
  for (const char* reduction : {"none", "mean", "sum"}) {
    const auto reduced = [&](Sample sample) { out.push_back(sample.named("reduction", reduction)); };
    reduced({"binary_cross_entropy", {probabilities({2, 3}), probabilities({2, 3})}});
    reduced({"binary_cross_entropy", {probabilities({2, 3}), constant({2, 3}, 0, 1), variable({3})}});
    reduced({"binary_cross_entropy_with_logits", {variable({2, 3}), probabilities({2, 3})}});
    reduced({"binary_cross_entropy_with_logits",
             {variable({2, 3}), constant({2, 3}, 0, 1), variable({2, 1}), variable({3})}});
    reduced({"kl_div", {variable({2, 3}), probabilities({2, 3})}});
    reduced(Sample("kl_div", {variable({2, 3}), variable({2, 3})}).named("log_target", true));
    reduced({"soft_margin_loss", {variable({2, 3}), variable({2, 3})}});
    reduced({"multilabel_soft_margin_loss", {variable({2, 3}), probabilities({2, 3})}});
    reduced({"multilabel_soft_margin_loss", {variable({2, 3}), constant({2, 3}, 0, 1), variable({3})}});
  }
  out.push_back(Sample("kl_div", {variable({2, 3}), probabilities({2, 3})}).named("reduction", "batchmean"));
  out.emplace_back("binary_cross_entropy_elements", Args{probabilities({2, 3}), probabilities({3})});
  out.emplace_back("binary_cross_entropy_backward",
                   Args{variable({2, 3}), probabilities({2, 3}), probabilities({2, 3})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
