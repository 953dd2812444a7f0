#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* reduction : {"none", "mean", "sum"}) {
    const auto reduced = [&](Sample sample) { out.push_back(sample.named("reduction", reduction)); };
    reduced({"l1_loss", {variable({2, 3}), variable({2, 3})}});
    reduced({"smooth_l1_loss", {variable({2, 3}), variable({2, 3})}});
    reduced(Sample("smooth_l1_loss", {variable({2, 3}), variable({3})}).named("beta", 0.3));
    reduced({"huber_loss", {variable({2, 3}), variable({2, 3})}});
    reduced({"poisson_nll_loss", {variable({2, 3}), positive({2, 3})}});
    reduced(Sample("poisson_nll_loss", {positive({2, 3}), positive({2, 3})}).named("log_input", false));
    reduced({"gaussian_nll_loss", {variable({2, 3}), variable({2, 3}), positive({2, 3})}});
  }
  out.push_back(Sample("smooth_l1_loss", {variable({4}), variable({4})}).named("beta", 0));
  out.push_back(Sample("huber_loss", {variable({4}), variable({})}).named("delta", 0.4));
  out.push_back(Sample("poisson_nll_loss", {variable({5}), positive({5})}).named("full", true));
  out.push_back(Sample("gaussian_nll_loss", {variable({2, 3}), variable({2, 3}), positive({2})}).named("full", true));
  out.emplace_back("gaussian_nll_loss", Args{variable({2, 3}), variable({3}), positive({2, 1})});
  out.emplace_back("huber_elements", Args{variable({2, 3}), variable({3}), 0.7});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
