#include "tests/ops/samples.h"

namespace tapewire {
namespace {

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  const auto weight = [] { return constant({3}, 0.2, 2); };
  const auto probabilities = [](const Shape& sizes) { return constant(sizes, 0.2, 1); };
  for (const char* reduction : {"none", "mean", "sum"}) {
    const auto reduced = [&](Sample sample) { out.push_back(sample.named("reduction", reduction)); };
    reduced({"mse_loss", {variable({2, 3}), variable({2, 3})}});
    reduced({"mse_loss", {variable({2, 3}), variable({3})}});
    for (const char* op : {"nll_loss", "nll_loss_nd"}) {
      reduced({op, {variable({4, 3}), indices({0, 2, 1, 2}, {4})}});
      reduced({op, {variable({4, 3}), indices({0, 2, 1, 2}, {4}), weight()}});
      reduced(Sample(op, {variable({2, 3, 2}), indices({0, 1, 1, 2}, {2, 2}), weight()}).named("ignore_index", 1));
    }
    reduced({"nll_loss", {variable({3}), indices({1}, {})}});
    reduced({"cross_entropy", {variable({4, 3}), indices({0, 2, 1, 2}, {4})}});
    reduced({"cross_entropy", {variable({3}), indices({2}, {})}});
    reduced(Sample("cross_entropy", {variable({2, 3, 2}), indices({0, 1, -100, 2}, {2, 2}), weight()})
                .named("label_smoothing", 0.2));
    reduced(Sample("cross_entropy", {variable({4, 3}), indices({0, 2, 1, 2}, {4})}).named("label_smoothing", 0.1));
    reduced({"cross_entropy", {variable({2, 3}), set_requires_grad(probabilities({2, 3})), weight()}});
    reduced(Sample("cross_entropy", {variable({2, 3, 2}), probabilities({2, 3, 2})}).named("label_smoothing", 0.3));
  }
  const auto backward_of = [](const Tensor& grad, const Value& class_weight) {
    return Sample("nll_loss_backward", {grad, indices({0, 2}, {2}), class_weight}).named("size", Tuple{2, 3});
  };
  out.push_back(backward_of(variable({2}), Value()));
  out.push_back(backward_of(variable({2}), weight()));
  out.push_back(backward_of(variable({}), weight()).named("ignore_index", 2));
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
