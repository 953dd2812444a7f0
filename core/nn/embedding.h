#pragma once

#include "core/nn/module.h"
#include "core/ops/embedding.h"

namespace tapewire {

struct EmbeddingOptions : EmbeddingAttrs {
  int64_t num_embeddings = 0;
  int64_t embedding_dim = 0;
  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{required_field("num_embeddings", &EmbeddingOptions::num_embeddings, "rows of the table"),
                   required_field("embedding_dim", &EmbeddingOptions::embedding_dim, "size of each row")},
        EmbeddingAttrs::fields());
  }
};

/// Indices [*] (int64 or int32) -> rows of weight [num_embeddings, embedding_dim]: [*, embedding_dim]. weight starts as
/// N(0, 1), and as zeros in the row padding_idx, which gets no gradient. With max_norm a call first scales down, in
/// place and without history, the rows that it looks up. torch.nn.Embedding; throws for sparse gradients.
class Embedding final : public TensorModule {
 public:
  using Options = EmbeddingOptions;
  static constexpr auto kName = "Embedding";
  static constexpr auto kDoc = "rows of a learned table, looked up by index";

  explicit Embedding(const Options& options);
  Embedding(int64_t num_embeddings, int64_t embedding_dim, const EmbeddingAttrs& attrs = {})
      : Embedding(Options{attrs, num_embeddings, embedding_dim}) {}

  std::string_view type() const override { return kName; }
  Tensor forward(const Tensor& indices) override;
  std::string extra_repr() const override;

  const Tensor& weight() const { return weight_; }

 private:
  Options options_;  // padding_idx counted from the start
  Member<Tensor> weight_;
};

}  // namespace tapewire
