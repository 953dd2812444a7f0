#pragma once

#include "core/base/fields.h"
#include "core/tensor/tensor.h"

namespace tapewire {

/// Lengths of vectors and distances between them, named as in torch.nn.functional.

struct NormalizeAttrs {
  double p = 2;
  int64_t dim = 1;
  double eps = 1e-12;
  static constexpr auto fields() {
    return std::tuple{field("p", &NormalizeAttrs::p, "of the norm"),
                      field("dim", &NormalizeAttrs::dim, "dimension of the vectors"),
                      field("eps", &NormalizeAttrs::eps, "least norm to divide by")};
  }
};
struct CosineSimilarityAttrs {
  int64_t dim = 1;
  double eps = 1e-8;
  static constexpr auto fields() {
    return std::tuple{field("dim", &CosineSimilarityAttrs::dim, "dimension of the vectors"),
                      field("eps", &CosineSimilarityAttrs::eps, "least norm to divide by")};
  }
};
struct PairwiseDistanceAttrs {
  double p = 2;
  double eps = 1e-6;
  bool keepdim = false;
  static constexpr auto fields() {
    return std::tuple{field("p", &PairwiseDistanceAttrs::p, "of the norm"),
                      field("eps", &PairwiseDistanceAttrs::eps, "added to each difference"),
                      field("keepdim", &PairwiseDistanceAttrs::keepdim, "leave the last dimension as a one")};
  }
};

/// x / max(norm(x, p, dim), eps).
Tensor normalize(const Tensor& x, const NormalizeAttrs& attrs = {});
/// sum(x1 x2) / (norm(x1) norm(x2)) along dim; operands broadcast and promote. A norm that is raised to eps passes its
/// gradient all the same.
Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, const CosineSimilarityAttrs& attrs = {});
/// The p-norm of x1 - x2 + eps over the last dimension; operands broadcast.
Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, const PairwiseDistanceAttrs& attrs = {});

}  // namespace tapewire
