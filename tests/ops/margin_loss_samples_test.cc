#include "tests/ops/samples.h"

namespace tapewire {
namespace {

// Targets that say which of two ways.
Tensor ones(std::initializer_list<double> values, std::initializer_list<int64_t> sizes) {
  return Tensor::of<double>(values, sizes);
}

std::vector<Sample> make_samples() {
  std::vector<Sample> out;
  for (const char* reduction : {"none", "mean", "sum"}) {
    const auto reduced = [&](Sample sample) { out.push_back(sample.named("reduction", reduction)); };
    reduced({"margin_ranking_loss", {variable({2, 3}), variable({2, 3}), variable({2, 3}), 0.3}});
    reduced({"hinge_embedding_loss", {variable({2, 3}), ones({1, -1, -1, 1, 1, -1}, {2, 3})}});
    reduced({"cosine_embedding_loss", {variable({3, 4}), variable({3, 4}), ones({1, -1, -1}, {3}), -0.8}});
    reduced({"triplet_margin_loss", {variable({3, 4}), variable({3, 4}), variable({3, 4})}});
    reduced({"multi_margin_loss", {variable({3, 4}), indices({1, 0, 3}, {3})}});
    reduced({"multilabel_margin_loss", {variable({2, 4}), indices({3, 0, -1, 1, 2, -1, 0, 0}, {2, 4})}});
  }
  out.emplace_back("margin_ranking_loss", Args{variable({3}), variable({3}), ones({1, -1, 1}, {3})});
  out.push_back(Sample("hinge_embedding_loss", {variable({3}), ones({1, -1, 0}, {3})}).named("margin", 3));
  out.emplace_back("cosine_embedding_loss", Args{variable({4}), variable({4}), ones({1}, {})});
  out.push_back(Sample("triplet_margin_loss", {variable({3, 4}), variable({3, 4}), variable({3, 4})})
                    .named("swap", true)
                    .named("p", 3)
                    .named("margin", 5));
  out.push_back(Sample("multi_margin_loss", {variable({3, 4}), indices({1, 0, 3}, {3}), variable({4})})
                    .named("p", 2)
                    .named("margin", 1.5));
  out.emplace_back("multi_margin_loss", Args{variable({4}), indices({2}, {})});
  out.emplace_back("multilabel_margin_loss", Args{variable({4}), indices({1, 3, -1, 0}, {4})});
  out.emplace_back("multilabel_margin_rows", Args{variable({2, 3}), indices({2, -1, 0, 0, 1, -1}, {2, 3})});
  out.emplace_back("multilabel_margin_backward",
                   Args{variable({2}), variable({2, 3}), indices({2, -1, 0, 0, 1, -1}, {2, 3})});
  return out;
}

const SampleFamily kFamily(&make_samples);

}  // namespace
}  // namespace tapewire
